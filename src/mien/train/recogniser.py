"""Recipe of the recognisers: fine-tune an ImageNet trunk on 40 attributes, then calibrate.

Binary cross-entropy over known labels only (0 = unknown takes no part), AdamW
with a one-cycle rate, weights averaged over steps, bf16 where it is quicker. Calibration
by Platt scaling on the valid split; the card's numbers come from the test split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from torch import nn

from mien.checkpoint import save_model
from mien.checks import check_numbers
from mien.errors import BadInput, UnknownName
from mien.faces.cache import cached_crops, to_unit
from mien.faces.celeba import CelebA, read_celeba
from mien.measure.recognition import recognition_table
from mien.recognise.imagenet import load_trunk
from mien.recognise.recogniser import (
    ARCHITECTURES,
    Network,
    Recogniser,
    Trunk,
    open_recogniser,
)
from mien.runtime.precision import quickest
from mien.train import augment
from mien.train.robust import disturbed
from mien.train.run import Run, batch_indices, check_batch, generator, half_precision

RISING = 0.4  # share of the steps in which disturbances grow from nothing


@dataclass(frozen=True)
class Recipe:
    """Options of one recogniser training."""

    architecture: str = "mobilenet_v2"  # or efficientnet_lite0, the judge's
    pretrained: bool = True  # from ImageNet features; False trains from scratch
    frozen: int = 4  # first layers kept at ImageNet's weights: 1.7 times faster steps
    size: int = 128  # px, as the embedded spaces
    epochs: int = 6
    batch: int = 64
    rate: float = 1.2e-3  # AdamW peak
    decay: float = 0.02
    smoothing: float = 0.05  # CelebA's labels are noisy
    average: float = 0.998  # of the weights, a step
    begin: str = ""  # a recogniser of the same architecture, whose weights learn further
    attributes: tuple[str, ...] = ()  # those that it learns; () = all of the data set
    robust: float = 0.0  # length, faces being in [-1, 1], of disturbances that it learns to bear
    seed: int = 0
    every: int = 100  # steps between checkpoints

    def __post_init__(self) -> None:
        check_numbers(self, {"frozen": 0}, shares=("smoothing", "average"))
        if self.architecture not in ARCHITECTURES:
            raise UnknownName("architecture", self.architecture, ARCHITECTURES)


def train(
    root: Path, folder: Path, name: str, recipe: Recipe, progress: Callable[[int, int, str], None]
) -> dict[str, Any]:
    """Train on CelebA at `root`, write the model folder `folder/name`, return its card.

    progress(step, steps, text) is called after every step. Interrupted, the
    same call continues from the last checkpoint. Raises BadInput for a batch of more photos
    than there are or a recogniser to begin with that does not fit, UnknownName for an attribute
    that it or the data lacks.
    """
    train_set = _read(root, "train", recipe)
    check_batch(recipe.batch, len(train_set))
    begun = _begun(train_set.attributes.names, recipe)  # what it refuses, before photos are read
    faces = cached_crops(train_set.paths, recipe.size)
    network = _fit(begun, faces, train_set, Run(folder), recipe, progress)
    recogniser = _calibrate(network, root, recipe, train_set.attributes.names)
    test = _read(root, "test", recipe)
    logits = _logits(recogniser, test, recipe)
    table = recognition_table(logits * recogniser.scale + recogniser.shift, test.attributes)
    card = _card(name, recipe, recogniser.names, table)
    save_model(folder / name, _tensors(recogniser), card)
    return card


def _read(root: Path, split: str, recipe: Recipe) -> CelebA:
    """One split with the attributes of the recipe."""
    data = read_celeba(root, split)
    if not recipe.attributes:
        return data
    return replace(data, attributes=data.attributes.select(recipe.attributes))


def _begun(names: tuple[str, ...], recipe: Recipe) -> Network:
    """The network to train further: ImageNet's trunk, or a recogniser's with its rows of names.

    Raises BadInput and UnknownName for a recogniser of another architecture or other names.
    """
    torch.manual_seed(recipe.seed)
    if not recipe.begin:
        trunk = load_trunk(ARCHITECTURES[recipe.architecture], recipe.pretrained)
        return Network(trunk, len(names))
    known = open_recogniser(recipe.begin)
    architecture = known.card["architecture"]
    if architecture != recipe.architecture:
        raise BadInput(f"begin={recipe.begin} is another network; set architecture={architecture}")
    for name in names:
        if name not in known.names:
            raise UnknownName(f"attribute of begin={recipe.begin}", name, known.names)
    weights = known.network.state_dict()
    rows = [known.names.index(name) for name in names]
    weights |= {key: weights[key][rows] for key in ("head.weight", "head.bias")}
    network = Network(ARCHITECTURES[recipe.architecture].Trunk(), len(names))
    network.load_state_dict(weights)
    return network


def _fit(
    network: Network, faces: np.ndarray, data: CelebA, run: Run, recipe: Recipe,
    progress: Callable[[int, int, str], None],
) -> nn.Module:  # fmt: skip
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trunk: Any = network.trunk
    freeze(trunk, recipe.frozen)
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.average),
        use_buffers=True,
    )  # fmt: skip
    steps = len(data) // recipe.batch * recipe.epochs
    learned = [value for value in network.parameters() if value.requires_grad]
    optimiser = torch.optim.AdamW(learned, recipe.rate, weight_decay=recipe.decay, fused=True)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, steps, pct_start=0.15)
    parts: dict[str, Any] = {
        "network": network,
        "averaged": averaged,
        "optimiser": optimiser,
        "rate": rate,
    }
    start = _restore(run, parts)
    for step in range(start, steps):
        torch.manual_seed(recipe.seed * 1_000_003 + step)  # dropout
        rows = batch_indices(len(data), recipe.batch, step, recipe.seed)
        radius = recipe.robust * min(1, step / max(1, RISING * steps))
        loss = _step(network, faces[rows], data.attributes.table[rows], step, recipe, radius)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
        averaged.update_parameters(network)
        run.log(step + 1, {"loss": loss.item(), "rate": float(rate.get_last_lr()[0])})
        progress(step + 1, steps, f"loss {loss.item():.3f}")
        if (step + 1) % recipe.every == 0 or step + 1 == steps:
            run.save(step + 1, **{key: part.state_dict() for key, part in parts.items()})
    module: nn.Module = averaged.module
    return module


def _step(
    network: nn.Module, pixels: np.ndarray, labels: np.ndarray, step: int, recipe: Recipe,
    radius: float,
) -> torch.Tensor:  # fmt: skip
    random = generator(recipe.seed, step)
    faces = torch.from_numpy(to_unit(pixels))
    faces = augment.flip(faces, random)
    faces = augment.jitter_frame(faces, random, 0.06)
    faces = augment.jitter_colour(faces, random, 0.2)
    faces = augment.blur(faces, random, 0.3)

    def loss(faces: torch.Tensor) -> torch.Tensor:
        with quickest():
            logits = network(faces.contiguous(memory_format=torch.channels_last))
        return known_cross_entropy(logits.float(), torch.from_numpy(labels), recipe.smoothing)

    return loss(disturbed(loss, faces, radius, random) if radius else faces)


def freeze(trunk: Trunk, layers: int) -> None:
    """Keep the first `layers` layers of a trunk, batch statistics included, as they are."""
    for layer in trunk.layers()[:layers]:
        layer.requires_grad_(False).eval()


def known_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0
) -> torch.Tensor:
    """Mean binary cross-entropy of logits [N, M] over labels 1 and -1; 0 takes no part."""
    known = (labels != 0).float()
    target = (labels > 0).float() * (1 - smoothing) + smoothing / 2
    losses = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (losses * known).sum() / known.sum().clamp(min=1)


def _restore(run: Run, parts: dict[str, Any]) -> int:
    saved = run.resume()
    if saved is None:
        return 0
    for key, part in parts.items():
        part.load_state_dict(saved[key])
    return int(saved["step"])


def _logits(recogniser: Recogniser, data: CelebA, recipe: Recipe) -> np.ndarray:
    pixels = cached_crops(data.paths, recipe.size)
    parts = [
        recogniser.logits(to_unit(pixels[start : start + 250]))
        for start in range(0, len(pixels), 250)
    ]
    return np.concatenate(parts)


def _calibrate(
    network: nn.Module, root: Path, recipe: Recipe, names: tuple[str, ...]
) -> Recogniser:
    one, zero = np.ones(len(names), np.float32), np.zeros(len(names), np.float32)
    plain = Recogniser(network, names, one, zero, recipe.size)
    valid = _read(root, "valid", recipe)
    logits = _logits(plain, valid, recipe)
    scale, shift = platt(logits, valid.attributes.table)
    return Recogniser(network, names, scale, shift, recipe.size)


def platt(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift float32 [M] that turn logits [N, M] into probabilities of labels [N, M].

    Labels are 1, -1 or 0 (unknown, left out); an attribute seen on one side only
    keeps its logits.
    """
    scale, shift = np.ones(logits.shape[1], np.float32), np.zeros(logits.shape[1], np.float32)
    for m in range(logits.shape[1]):
        known = labels[:, m] != 0
        if len(set(labels[known, m])) < 2:
            continue
        fit = LogisticRegression(C=1e4).fit(logits[known, m : m + 1], labels[known, m])
        scale[m], shift[m] = fit.coef_[0, 0], fit.intercept_[0]
    return scale, shift


def _tensors(recogniser: Recogniser) -> dict[str, np.ndarray]:
    tensors = half_precision(recogniser.network.state_dict())
    calibration = {"scale": recogniser.scale, "shift": recogniser.shift}
    return tensors | {f"calibration.{key}": value for key, value in calibration.items()}


def _card(
    name: str, recipe: Recipe, names: tuple[str, ...], table: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "recogniser",
        "architecture": recipe.architecture,
        "attributes": list(names),
        "input": {"size": recipe.size, "frame": "celeba", "range": [-1, 1]},
        "data": "CelebA train split (15,000 photos), calibrated on its valid split (1,000)",
        "licence": "Apache-2.0 code; weights for non-commercial research (CelebA's terms)",
        "recipe": asdict(recipe),
        "metrics": table,
    }

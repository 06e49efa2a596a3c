"""Recipe of the DFC-VAE: pixel, deep-feature and KL losses, first at half size, then full.

loss = mean squared pixel error + feature * deep-feature distance + kl * KL, with
faces in [-1, 1] and KL in nats a face (Hou et al., WACV 2017, with a pixel term).
bf16 autocast; losses, normalisation statistics and the KL in fp32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mien.checkpoint import save_model
from mien.faces.cache import cached_crops, to_unit
from mien.faces.celeba import read_celeba
from mien.generators.vae import Architecture, Network, open_space
from mien.measure.reconstruction import reconstruction_table
from mien.recognise import mobilenet_v2
from mien.recognise.imagenet import load_trunk
from mien.train import augment
from mien.train.perceptual import FeatureLoss
from mien.train.run import Run, batch_indices, generator

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Recipe:
    """Options of one VAE training."""

    shape: Architecture = field(default_factory=Architecture)
    half_epochs: float = 4.0  # at half size, where a step costs less
    full_epochs: float = 4.5
    batch: int = 32
    rate: float = 1.2e-3  # AdamW peak, cosine decay to a fiftieth
    feature: float = 0.06  # weight of the deep-feature distance
    window: int = 96  # px, random square in which features are compared at full size
    kl: float = 3e-5  # weight of a nat: small, so that latents keep detail
    warm: int = 300  # steps until rate and kl reach their values
    average: float = 0.997  # of the weights, a step
    seed: int = 0
    every: int = 200  # steps between checkpoints
    tested: int = 500  # test photos the card's numbers come from

    def steps(self, faces: int) -> tuple[int, int]:
        """Steps at half size, steps in all."""
        epoch = faces // self.batch
        half = round(self.half_epochs * epoch)
        return half, half + round(self.full_epochs * epoch)


@dataclass
class State:
    """What learns and what is saved."""

    network: Network
    averaged: Any  # torch's AveragedModel
    optimiser: torch.optim.Optimizer

    def parts(self) -> dict[str, Any]:
        """State dicts by name."""
        return {name: getattr(self, name).state_dict() for name in self.__dataclass_fields__}

    def load(self, saved: dict[str, Any]) -> None:
        """Restore what `parts` gave."""
        for name in self.__dataclass_fields__:
            getattr(self, name).load_state_dict(saved[name])


def train(
    root: Path, folder: Path, name: str, recipe: Recipe, progress: Progress
) -> dict[str, Any]:
    """Train on CelebA at `root`, write the model folder `folder/name`, return its card.

    progress(step, steps, text) is called after every step. Interrupted, the
    same call continues from the last checkpoint.
    """
    faces = cached_crops(read_celeba(root, "train").paths, recipe.shape.size)
    network = _fit(faces, Run(folder), recipe, progress)
    tensors = _tensors(network, _fit_prior(network, faces))
    save_model(folder / name, tensors, _card(name, recipe))
    test = cached_crops(read_celeba(root, "test").paths, recipe.shape.size)[: recipe.tested]
    metrics = reconstruction_table(open_space(folder / name), to_unit(test))
    card = _card(name, recipe) | {"metrics": metrics}
    save_model(folder / name, tensors, card)
    return card


def losses(
    network: Network, features: FeatureLoss, faces: torch.Tensor, step: int, recipe: Recipe,
    full: bool = True,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """The loss ("loss") and its unweighted terms ("pixel", "feature", "kl"), fp32 scalars.

    faces: [N, 3, size, size] in [-1, 1]; random numbers come from (recipe.seed, step).
    """
    random = generator(recipe.seed, step)
    faces = augment.flip(faces, random)
    target = faces if full else F.avg_pool2d(faces, 2)
    source = faces if full else F.interpolate(target, scale_factor=2)
    with torch.autocast(faces.device.type, torch.bfloat16):
        mean, log_variance = network.encoder(source.contiguous(memory_format=torch.channels_last))
        noise = torch.randn(mean.shape, generator=random)
        decoded = network.decoder(mean + noise * torch.exp(log_variance / 2), full)
        window = _window(target.shape[2], recipe.window, random)
        feature = features(decoded.float()[window], target[window])
    pixel = F.mse_loss(decoded.float(), target)
    kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()
    weight = recipe.kl * min(1.0, (step + 1) / recipe.warm)
    loss = pixel + recipe.feature * feature + weight * kl
    return {"loss": loss, "pixel": pixel, "feature": feature, "kl": kl}


def _window(size: int, side: int, random: torch.Generator) -> tuple[slice, ...]:
    side = min(side, size)
    top, left = (int(torch.randint(size - side + 1, (), generator=random)) for _ in range(2))
    return slice(None), slice(None), slice(top, top + side), slice(left, left + side)


def _fit(faces: np.ndarray, run: Run, recipe: Recipe, progress: Progress) -> Network:
    state = _start(recipe)
    features = FeatureLoss(load_trunk(mobilenet_v2))
    features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    half, steps = recipe.steps(len(faces))
    saved = run.resume()
    if saved is not None:
        state.load(saved)
    for step in range(saved["step"] if saved else 0, steps):
        rows = batch_indices(len(faces), recipe.batch, step, recipe.seed)
        batch = torch.from_numpy(to_unit(faces[rows]))
        terms = losses(state.network, features, batch, step, recipe, full=step >= half)
        _update(state, terms["loss"], rate(step, steps, recipe))
        if (step + 1) % 10 == 0:
            run.log(step + 1, {key: value.item() for key, value in terms.items()})
        progress(step + 1, steps, f"pixel {terms['pixel'].item():.4f}")
        if (step + 1) % recipe.every == 0 or step + 1 == steps:
            run.save(step + 1, **state.parts())
    network: Network = state.averaged.module
    return network


def _start(recipe: Recipe) -> State:
    torch.manual_seed(recipe.seed)
    network = Network(recipe.shape)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.average),
        use_buffers=True,
    )  # fmt: skip
    optimiser = torch.optim.AdamW(
        network.parameters(), recipe.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
    )
    return State(network, averaged, optimiser)


def rate(step: int, steps: int, recipe: Recipe) -> float:
    """Learning rate of a step: linear warm-up, then a cosine to a fiftieth of the peak."""
    if step < recipe.warm:
        return recipe.rate * (step + 1) / recipe.warm
    share = (step - recipe.warm) / max(1, steps - recipe.warm)
    return recipe.rate * (0.02 + 0.98 * 0.5 * (1 + float(np.cos(np.pi * share))))


def _update(state: State, loss: torch.Tensor, rate: float) -> None:
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    state.optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(state.network.parameters(), 1.0)
    state.optimiser.step()
    state.averaged.update_parameters(state.network)


def _fit_prior(network: Network, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [D] and lower covariance factor [D, D] of the encoded faces.

    The Gaussian covers the posteriors' means; decoding those gives sharper
    samples than decoding draws from N(0, I).
    """
    network.eval()
    batches = [faces[start : start + 256] for start in range(0, len(faces), 256)]
    with torch.inference_mode():
        means = [network.encoder(torch.from_numpy(to_unit(batch)))[0] for batch in batches]
    values = torch.cat(means).double().numpy()
    covariance = np.cov(values, rowvar=False) + 1e-6 * np.eye(values.shape[1])
    factor = np.linalg.cholesky(covariance)
    return values.mean(0).astype(np.float32), factor.astype(np.float32)


def _tensors(network: Network, prior: tuple[np.ndarray, np.ndarray]) -> dict[str, np.ndarray]:
    tensors = {}
    for key, value in network.state_dict().items():
        array = value.detach().contiguous().numpy()
        tensors[key] = array.astype(np.float16) if array.dtype == np.float32 else array
    return tensors | {"prior.mean": prior[0], "prior.factor": prior[1]}


def _card(name: str, recipe: Recipe) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "space",
        "architecture": "vae",
        "space": "z",
        "options": asdict(recipe.shape),
        "latent": [recipe.shape.latent],
        "input": {"size": recipe.shape.size, "frame": "celeba", "range": [-1, 1]},
        "data": "CelebA train split (15,000 photos, mirrored at random)",
        "licence": "Apache-2.0 code; weights for non-commercial research (CelebA's terms)",
        "recipe": asdict(recipe),
    }

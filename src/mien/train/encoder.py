"""Recipe of pSp and e4e: an encoder learns to invert a frozen generator.

Richardson et al., "Encoding in Style" (CVPR 2021), and Tov et al., "Designing an
Encoder for StyleGAN Image Manipulation" (SIGGRAPH 2021): pixels, deep features
and identity of the redrawn photo; for e4e also short differences between rows,
a discriminator of styles, and rows learned one after the other. Deep features
are MobileNetV2's in the place of LPIPS. Where no ArcFace weights are at hand,
the recogniser's logits stand for identity: the network of identities that comes
as a package carries no gradients. Pictures of other things keep MoCo's embedding
where its weights are at hand. bf16 where it is quicker; losses and codes in fp32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from mien.checkpoint import find_model, own_mark
from mien.errors import BadInput
from mien.faces.cache import cached_crops, to_unit
from mien.faces.celeba import read_celeba
from mien.generators import open_space
from mien.generators.stylegan2 import StyleGAN2
from mien.recognise import mobilenet_v2
from mien.recognise.arcface import ArcFace, identity_loss, open_arcface
from mien.recognise.deep_features import FeatureLoss
from mien.recognise.imagenet import load_trunk
from mien.recognise.moco import ResNet, open_moco, similarity_loss
from mien.recognise.recogniser import Recogniser, open_recogniser
from mien.runtime.precision import quickest
from mien.train import augment
from mien.train._encoder_export import PAIRS, export, save_pairs
from mien.train._encoder_state import Recipe, State, start
from mien.train.adversarial import critic_logistic, r1
from mien.train.latent_critic import active_rows, deltas, far_from, seem_own
from mien.train.run import Run, batch_indices, generator, passed

Progress = Callable[[int, int, str], None]
Terms = dict[str, torch.Tensor]
FFHQ = (256, 256)  # px of the pictures that ArcFace's face is cut from
FLOOR = 0.05  # of the rate, at the end of the cosine

__all__ = ["Recipe", "export", "fit", "train"]


@dataclass(frozen=True)
class Target:
    """What the encoder serves, frozen, and what compares its drawings with photos."""

    space: StyleGAN2
    features: FeatureLoss
    recogniser: Recogniser | None
    arcface: ArcFace | None = None
    moco: ResNet | None = None


def target_of(recipe: Recipe) -> Target:
    """The recipe's generator and judges; BadInput for a space that has no styles."""
    space = open_space(find_model(recipe.generator))
    if not isinstance(space, StyleGAN2):
        raise BadInput(f"{recipe.generator} is no StyleGAN2; encoders of styles invert those only")
    features = FeatureLoss(load_trunk(mobilenet_v2))
    features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    recogniser = None if recipe.recogniser == "none" else open_recogniser(recipe.recogniser)
    arcface = open_arcface(Path(recipe.arcface)) if recipe.arcface else None
    moco = open_moco(Path(recipe.moco)) if recipe.moco else None
    return Target(space, features, recogniser, arcface, moco)


def fit(faces: np.ndarray, run: Run, recipe: Recipe, target: Target, progress: Progress) -> State:
    """Train on uint8 pictures [N, S, S, 3] until `recipe.images`; resumes the run's checkpoint."""
    shape = target.space.network.shape
    state = start(recipe, recipe.shape(shape.size, shape.styles, shape.latent))
    begin = run.restore(state)
    steps = -(-recipe.images // recipe.batch)
    for step in range(begin, steps):
        rows = batch_indices(len(faces), recipe.batch, step, recipe.seed)
        photos = augment.flip(torch.from_numpy(to_unit(faces[rows])), generator(recipe.seed, step))
        terms = update(state, photos, step, recipe, target)
        done, last = (step + 1) * recipe.batch, step + 1 == steps
        if (step + 1) % 20 == 0 or last:
            run.log(step + 1, {key: float(value) for key, value in terms.items()})
        if passed(done, recipe.watch_every, recipe.batch) or last:
            _draw(run.folder / "grids" / f"{done:08d}.png", state, faces, target)
        if passed(done, recipe.every, recipe.batch) or last:
            run.save(step + 1, generator=own_mark(target.space.card), **state.parts())
        progress(step + 1, steps, f"pixel {float(terms['pixel']):.4f}")
    return state


def _draw(path: Path, state: State, faces: np.ndarray, target: Target) -> None:
    """Write the first train photos above what the generator draws of their codes."""
    network, photos = target.space.network, to_unit(faces[:PAIRS])
    state.network.eval()
    with torch.inference_mode():
        codes = state.network(torch.from_numpy(photos)).float() + network.average
        drawn = network.synthesis(codes, "stored").float().clamp(-1, 1)
    state.network.train()
    path.parent.mkdir(exist_ok=True)
    save_pairs(path, photos, drawn.numpy())


def update(state: State, photos: torch.Tensor, step: int, recipe: Recipe, target: Target) -> Terms:
    """One step of the discriminator of styles and of the encoder; the unweighted terms."""
    network = target.space.network
    stage = recipe.stage(step * recipe.batch, network.shape.styles)
    state.network.stage = stage  # type: ignore[assignment]
    with quickest(photos.device.type):
        codes = state.network(photos.contiguous(memory_format=torch.channels_last)).float()
    codes = codes + network.average
    terms: Terms = {"stage": torch.tensor(float(stage))}
    if recipe.method == "e4e" and recipe.adversarial:
        terms |= _teach_critic(state, codes.detach(), step, recipe, target)
    loss, more = _losses(state, photos, codes, recipe, target)
    for group in state.optimiser.param_groups:
        group["lr"] = recipe.rate * _pace(step * recipe.batch / recipe.images)
    _step(state.optimiser, loss)
    return terms | more


def _losses(
    state: State, photos: torch.Tensor, codes: torch.Tensor, recipe: Recipe, target: Target
) -> tuple[torch.Tensor, Terms]:
    network = target.space.network
    with quickest(photos.device.type):
        drawn = network.synthesis(codes, "stored").float()
        terms: Terms = {"pixel": F.mse_loss(drawn, photos)}
        terms["feature"] = target.features(drawn, photos)
    loss = recipe.pixel * terms["pixel"] + recipe.feature * terms["feature"]
    if target.recogniser is not None and recipe.seen:
        some = math.ceil(recipe.seen_share * len(photos))
        terms["seen"] = _seen(target.recogniser, drawn[:some], photos[:some])
        loss = loss + recipe.seen * terms["seen"]
    if target.arcface is not None:
        large = (F.interpolate(x, FFHQ, mode="bilinear") for x in (drawn, photos))
        terms["identity"] = identity_loss(target.arcface, *large)
        loss = loss + recipe.identity * terms["identity"]
    if target.moco is not None:
        with quickest(photos.device.type):
            terms["similar"] = similarity_loss(target.moco, drawn, photos)
        loss = loss + recipe.similar * terms["similar"]
    if recipe.far:
        terms["far"] = far_from(codes, network.average)
        loss = loss + recipe.far * terms["far"]
    if recipe.method == "e4e":
        stage = int(state.network.stage)  # type: ignore[arg-type]
        terms["delta"] = deltas(codes)[:stage].sum()
        state.critic.requires_grad_(False)
        terms["own"] = seem_own(state.critic, active_rows(codes, stage))
        loss = loss + recipe.delta * terms["delta"] + recipe.adversarial * terms["own"]
    return loss, {key: value.detach() for key, value in terms.items()}


def _seen(recogniser: Recogniser, drawn: torch.Tensor, photos: torch.Tensor) -> torch.Tensor:
    """Mean squared change of the recogniser's logits, for faces brought to its size."""
    size = (recogniser.size, recogniser.size)
    with quickest(photos.device.type):
        with torch.no_grad():
            wanted = recogniser.score(F.interpolate(photos, size, mode="bilinear"))
        found = recogniser.score(F.interpolate(drawn, size, mode="bilinear"))
    return F.mse_loss(found.float(), wanted.float())


def _teach_critic(
    state: State, codes: torch.Tensor, step: int, recipe: Recipe, target: Target
) -> Terms:
    """One step on styles of the generator and of the encoder, older ones among them."""
    network = target.space.network
    random = generator(recipe.seed + 1, step)
    z = torch.randn(len(codes), network.shape.mapping[0], generator=random)
    with torch.no_grad():
        own = state.own.query(network.mapping(z)[:, None])
    found = state.found.query(active_rows(codes, int(state.network.stage)))  # type: ignore[arg-type]
    state.critic.requires_grad_(True)
    loss = critic_logistic([state.critic(own)], [state.critic(found)])
    terms = {"critic": loss.detach()}
    _step(state.critic_optimiser, loss)
    if step % recipe.r1_every == 0:
        penalty = r1(state.critic, own)
        _step(state.critic_optimiser, recipe.r1 / 2 * recipe.r1_every * penalty)
        terms["r1"] = penalty.detach()
    return terms


def train(
    root: Path, folder: Path, name: str, recipe: Recipe, progress: Progress
) -> dict[str, Any]:
    """Train on CelebA at `root`, write the model folder `folder/name`, return its card.

    progress(step, steps, text) is called after every step. Interrupted, the
    same call continues from the last checkpoint, its stage included.
    """
    target = target_of(recipe)
    faces = cached_crops(read_celeba(root, "train").paths, target.space.size)
    fit(faces, Run(folder), recipe, target, progress)
    return export(root, folder, name, recipe, progress)


def _pace(share: float) -> float:
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + float(np.cos(np.pi * min(share, 1.0))))


def _step(optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()

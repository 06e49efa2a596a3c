"""Recipe of the StyleGAN2: adversarial training that can stop, go on and be exported any time.

Karras et al. (CVPR 2020): non-saturating loss, lazy R1 and path-length
regularisation, style mixing, averaged weights. For little data and little time:
augmentation of what the discriminator sees (diff_augment.py), and a
discriminator on ImageNet features (projected.py). Rates are constant, so there
is no last step to plan for. bf16 where it is quicker; losses, regularisers and
normalisation statistics in fp32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from mien.checkpoint import find_model
from mien.faces.cache import cached_crops, to_unit
from mien.faces.celeba import read_celeba
from mien.generators.stylegan2 import Generator, mix
from mien.generators.vae import open_space
from mien.runtime.precision import quickest
from mien.train import augment
from mien.train._stylegan2_export import export
from mien.train._stylegan2_state import Recipe, State, average, start
from mien.train._stylegan2_watch import Watch, watch
from mien.train.diff_augment import diff_augment
from mien.train.patches import weighed
from mien.train.run import Run, batch_indices, generator, passed
from mien.train.teacher import encoded, numbers_of

Progress = Callable[[int, int, str], None]
Terms = dict[str, torch.Tensor | float]

__all__ = ["Recipe", "export", "fit", "train"]


@dataclass(frozen=True)
class Batch:
    """Photos [N, 3, S, S] in [-1, 1], and the numbers [N, D] to draw them from, where taught."""

    photos: torch.Tensor
    numbers: torch.Tensor | None = None


def fit(
    faces: np.ndarray, run: Run, recipe: Recipe, progress: Progress, seen: Watch,
    numbers: torch.Tensor | None = None,
) -> State:  # fmt: skip
    """Train on uint8 faces [N, S, S, 3] until `recipe.images`; resumes the run's checkpoint.

    numbers: float32 [N, D] for a recipe that teaches, what to draw each photo from.
    """
    state = start(recipe)
    begin = run.restore(state)
    steps = -(-recipe.images // recipe.batch)
    for step in range(begin, steps):
        rows = batch_indices(len(faces), recipe.batch, step, recipe.seed)
        photos = torch.from_numpy(to_unit(faces[rows]))
        batch = Batch(photos, None if numbers is None else numbers[torch.from_numpy(rows)])
        terms = update(state, batch, step, recipe)
        done, last = (step + 1) * recipe.batch, step + 1 == steps
        if (step + 1) % 20 == 0 or last:
            run.log(step + 1, {key: float(value) for key, value in terms.items()})
        if passed(done, recipe.watch_every, recipe.batch) or last:
            run.log(step + 1, {"frechet": seen(state.averaged, done)})
        if passed(done, recipe.every, recipe.batch) or last:
            run.save(step + 1, recipe=asdict(recipe), **state.parts())
        name = "critic" if "critic" in terms else "copy"
        progress(step + 1, steps, f"{name} {float(terms[name]):.3f}")
    return state


def update(state: State, batch: Batch, step: int, recipe: Recipe) -> Terms:
    """One step of discriminator, generator and average.

    Both learn from the same samples, so that these are drawn and their
    features computed once. Returns "critic", "adversary" and "copy" where the
    recipe has them, and the regularisers where they are due.
    """
    random = generator(recipe.seed, step)
    if step * recipe.batch < recipe.teach:
        loss, terms = _copy(state, batch, random)
        _step(state.tutor, loss)
    else:
        loss, terms = _compete(state, batch, step, recipe, random)
        _step(state.optimiser, loss)
    average(state, recipe, (step + 1) * recipe.batch)
    return terms


def _copy(state: State, batch: Batch, random: torch.Generator) -> tuple[torch.Tensor, Terms]:
    """The mean squared error of photos drawn from their numbers: their looks come later."""
    assert batch.numbers is not None
    network = state.generator
    with quickest(batch.photos.device.type):
        styles = network.spread(network.mapping(batch.numbers))
        samples = state.fast(styles, _noise(network, len(styles), random)).float()
    loss = F.mse_loss(samples, batch.photos)
    return loss, {"copy": loss.detach()}


def _compete(
    state: State, batch: Batch, step: int, recipe: Recipe, random: torch.Generator
) -> tuple[torch.Tensor, Terms]:
    """A step of the discriminator; the generator's loss and the terms to log."""
    state.adversary.turn(step)
    photos, share = batch.photos, _share(state, recipe)
    copies = 0 if batch.numbers is None else round(recipe.copies * len(photos))
    drawn = torch.randperm(len(photos), generator=random)[:copies]
    real = diff_augment(augment.flip(photos, random), random, share)
    with quickest(photos.device.type):
        styles = draw_styles(state.generator, len(photos) - copies, recipe.mixing, random)
        if batch.numbers is not None:
            known = state.generator.mapping(batch.numbers[drawn])
            styles = torch.cat([state.generator.spread(known), styles])
        samples = state.fast(styles, _noise(state.generator, len(photos), random))
        samples = samples.float()
        seen = diff_augment(samples.clamp(-1, 1), random, share)  # as `decode` will clip them
        fake = state.adversary.project(seen)
        with torch.no_grad():
            shown = state.adversary.project(real)
    terms: Terms = {"share": share}
    terms |= _teach_critic(state, (shown, fake), real, step, recipe)
    loss, more = _please(state, samples, fake, recipe)
    if copies:
        pull = recipe.pull * min(1.0, (step * recipe.batch - recipe.teach) / recipe.ramp)
        loss, copied = _weigh(state, (loss, samples), photos[drawn], pull)
        more["copy"] = copied
    penalty, path = _path_penalty(state, random, step, recipe)
    return loss + penalty, terms | more | path


def _weigh(
    state: State, pleasing: tuple[torch.Tensor, torch.Tensor], photos: torch.Tensor, pull: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """A loss whose gradient at the samples is drawing the photos plus `pull` times pleasing.

    The first samples are to be the photos, the others only have to please; the
    scale between the two gradients is that of the first. Returns the mark of
    the drawings too.
    """
    assert state.teacher is not None
    loss, samples = pleasing
    with quickest(photos.device.type):
        copied = state.teacher.loss(samples[: len(photos)], photos)
    (draw,) = torch.autograd.grad(copied, samples)
    (please,) = torch.autograd.grad(loss, samples)
    gradient = weighed(draw, please, pull, len(photos))
    return (samples * gradient).sum(), copied.detach()


def _teach_critic(
    state: State, maps: tuple[list[torch.Tensor], list[torch.Tensor]], real: torch.Tensor,
    step: int, recipe: Recipe,
) -> dict[str, torch.Tensor]:  # fmt: skip
    shown, fake = maps
    state.adversary.teach(True)
    with quickest(real.device.type):
        judged = state.adversary.logits(shown, photos=True)
        doubted = state.adversary.logits(_detached(fake), photos=False)
        loss = state.adversary.critic_loss(judged, doubted)
    terms = {"critic": loss.detach()}
    terms["sure"] = torch.stack([x.detach().sign().float().mean() for x in judged]).mean()
    if recipe.augmentation == "adaptive":
        state.adaptive.update(judged, len(real))
    if recipe.discriminator == "own" and step % recipe.r1_every == 0:
        penalty = state.adversary.penalty(real)
        loss = loss + recipe.r1 / 2 * recipe.r1_every * penalty
        terms["r1"] = penalty.detach()
    _step(state.critic_optimiser, loss)
    return terms


def _please(
    state: State, samples: torch.Tensor, fake: list[torch.Tensor], recipe: Recipe
) -> tuple[torch.Tensor, Terms]:
    state.adversary.teach(False)
    with quickest(samples.device.type):
        loss = state.adversary.generator_loss(state.adversary.logits(fake, photos=False))
    beyond = (samples.abs() - 1).relu().square().mean()
    terms: Terms = {"adversary": loss.detach(), "beyond": beyond.detach()}
    return loss + recipe.beyond * beyond, terms


def _path_penalty(
    state: State, random: torch.Generator, step: int, recipe: Recipe
) -> tuple[torch.Tensor, Terms]:
    """On half a batch, as published, in fp32; 0 where it is not due."""
    if not recipe.path or step % recipe.path_every:
        return torch.zeros(()), {}
    count = max(recipe.batch // 2, 1)
    styles = draw_styles(state.generator, count, recipe.mixing, random)
    samples = state.generator.synthesis(styles, _noise(state.generator, count, random))
    penalty = state.path(samples, styles, torch.randn(samples.shape, generator=random))
    terms: Terms = {"path": penalty.detach(), "length": state.path.mean.clone()}
    return recipe.path * recipe.path_every * penalty, terms


def draw_styles(
    network: Generator, count: int, mixing: float, random: torch.Generator
) -> torch.Tensor:
    """w+ [count, L, D] of random z, a share `mixing` of them with two styles; moves the average."""
    z = torch.randn(2, count, network.shape.latent, generator=random)
    first, second = network.spread(network.mapping(z[0])), network.spread(network.mapping(z[1]))
    with torch.no_grad():
        network.average.lerp_(first[:, 0].float().mean(0), 0.005)
    if torch.rand((), generator=random) >= mixing:
        return first
    crossover = int(torch.randint(1, network.shape.styles, (), generator=random))
    return mix(first, second, crossover)


def train(
    root: Path, folder: Path, name: str, recipe: Recipe, progress: Progress
) -> dict[str, Any]:
    """Train on CelebA at `root`, write the model folder `folder/name`, return its card.

    progress(step, steps, text) is called after every step. Interrupted, the
    same call continues from the last checkpoint; `export` writes the model
    folder of any checkpoint.
    """
    paths = read_celeba(root, "train").paths
    seen = watch(paths, folder / "samples", recipe.watched)
    known = _numbers(paths, recipe) if recipe.teach else None
    fit(cached_crops(paths, recipe.shape.size), Run(folder), recipe, progress, seen, known)
    return export(root, folder, name, recipe, progress)


def _numbers(paths: Sequence[Path], recipe: Recipe) -> torch.Tensor:
    space = open_space(find_model("vae-128"))
    return numbers_of(encoded(paths, space), space, recipe.shape.mapping[0])


def _share(state: State, recipe: Recipe) -> float:
    shares = {"none": 0.0, "fixed": recipe.share, "adaptive": state.adaptive.share}
    return shares[recipe.augmentation]


def _noise(network: Generator, count: int, random: torch.Generator) -> list[torch.Tensor]:
    coarse, *finer = network.shape.levels
    levels = [coarse, *(level for level in finer for _ in range(2))]
    return [torch.randn(count, 1, level, level, generator=random) for level in levels]


def _detached(maps: list[torch.Tensor]) -> list[torch.Tensor]:
    return [x.detach() for x in maps]


def _step(optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()

"""Recipe of the StarGAN: one generator learns to set any of several attributes.

Choi et al., "StarGAN" (CVPR 2018), equations 1 to 6, and section 3.2 for data sets
with different labels, of which any number may be given: each step learns from a batch
of every one. A label that is not known takes no part in any loss. bf16 autocast where the
CPU has units for it; losses, penalties and normalisation statistics in fp32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from mien.faces.cache import to_unit
from mien.generators._labels import Part, Vocabulary
from mien.recognise.recogniser import Recogniser
from mien.train import augment
from mien.train._stargan_data import Source, celeba_test, paints_of, read_sources
from mien.train._stargan_export import export
from mien.train._stargan_guide import distance
from mien.train._stargan_state import LOSSES, Recipe, State, equip, start
from mien.train._stargan_watch import save_grid
from mien.train.adversarial import unit_slope
from mien.train.devices import Devices, open_devices
from mien.train.run import Run, batch_indices, generator

Progress = Callable[[int, int, str], None]
Terms = dict[str, torch.Tensor]
Watch = Callable[[State, int], None]
WATCHED = 8  # test photos in the grids

__all__ = ["Recipe", "export", "fit", "train"]


@dataclass(frozen=True)
class Batch:
    """Faces of one data set and the random numbers of their step.

    faces: [N, 3, S, S] in [-1, 1]. labels, targets: [N, c], 1, 0 or 0.5 (unknown).
    mix: [N, 1, 1, 1] in [0, 1], where between photo and translation slopes are taken.
    frame: [N, 2, 3], what the teacher's view is jittered by, where it is.
    masks: [N, 2, S, S] in [0, 1], persons and their hair, where the guide paints it.
    """

    faces: torch.Tensor
    labels: torch.Tensor
    targets: torch.Tensor
    mix: torch.Tensor
    part: int = 0
    frame: torch.Tensor | None = None
    masks: torch.Tensor | None = None

    def shared(self, devices: Devices) -> Batch:
        """This process's faces, on its device.

        Each loss is a mean over faces, so the mean over shares is that over the batch: a face
        whose label is unknown still counts, and a folder of classes knows them all.
        """
        whole = {name: value for name, value in vars(self).items() if torch.is_tensor(value)}
        rows: dict[str, Any] = {name: devices.share(value) for name, value in whole.items()}
        return replace(self, **rows)


def draw(source: Source, part: int, count: int, step: int, recipe: Recipe) -> Batch:
    """The batch of a step from data set number `part` of `count`; random by (seed, step)."""
    random = generator(recipe.seed, step * count + part)
    rows = batch_indices(len(source.rows), recipe.batch, step, recipe.seed + part)
    faces, masks = _pictures(source, source.rows[rows], random)
    labels = source.labels[torch.from_numpy(rows)]
    targets = labels[torch.randperm(len(labels), generator=random)]
    if recipe.targets != "permuted":
        which = torch.randint(len(source.part.names), (len(labels),), generator=random)
        single = source.part.changed(labels, which)
        kept = len(labels) // 2 if recipe.targets == "mixed" else 0
        targets = torch.cat([targets[:kept], single[kept:]])
    mix = torch.rand(len(labels), 1, 1, 1, generator=random)
    frame = augment.frames(len(labels), random, recipe.jitter) if recipe.jitter else None
    return Batch(faces, labels, targets, mix, part, frame, masks)


def update(state: State, batch: Batch, recipe: Recipe, both: bool) -> Terms:
    """One step of the discriminator and, if `both`, of the generator; the unweighted terms.

    The generator has not changed in between, so both learn from one translation.
    """
    with torch.set_grad_enabled(both):
        made = _translated(state, batch.faces, batch.targets, batch.part, recipe)
    state.critic.requires_grad_(True)
    loss, terms = critic_loss(state, batch, made.detach(), recipe)
    _step(state.critic_optimiser, loss)
    if both:
        state.critic.requires_grad_(False)
        loss, more = generator_loss(state, batch, made, recipe)
        _step(state.optimiser, loss)
        state.averaged.update_parameters(state.generator)
        terms |= more
    return terms


def lesson(state: State, batch: Batch, recipe: Recipe) -> Terms:
    """One step of the generator towards what the guide would add, and nothing else."""
    made = _translated(state, batch.faces, batch.targets, batch.part, recipe)
    distance = _from_guide(state, batch, made, recipe)
    _step(state.optimiser, recipe.guide * distance)
    state.averaged.update_parameters(state.generator)
    return {"G/guide": distance.detach()}


def critic_loss(
    state: State, batch: Batch, made: torch.Tensor, recipe: Recipe
) -> tuple[torch.Tensor, Terms]:
    """The discriminator's loss (equations 1, 2 and 5) and its terms before weighing."""
    sides, sloped = LOSSES[recipe.loss]
    part, place = state.vocabulary.parts[batch.part], state.vocabulary.place(batch.part)
    count = len(batch.faces)
    with recipe.autocast(made.device.type):
        scores, logits = state.critic(torch.cat([batch.faces, made]))
        real, fake = sides(scores[:count], scores[count:])
        terms = {"D/real": real, "D/fake": fake}
        terms["D/cls"] = part.loss(logits[:count, place], batch.labels)
        loss = real + fake + recipe.cls * terms["D/cls"]
        if sloped:
            between = batch.mix * batch.faces + (1 - batch.mix) * made
            terms["D/gp"] = unit_slope(state.critic.slope(between))
            loss = loss + recipe.penalty * terms["D/gp"]
    return loss, {key: value.detach() for key, value in terms.items()}


def generator_loss(
    state: State, batch: Batch, made: torch.Tensor, recipe: Recipe
) -> tuple[torch.Tensor, Terms]:
    """The generator's loss (equations 3, 4 and 6) and its terms before weighing."""
    part, place = state.vocabulary.parts[batch.part], state.vocabulary.place(batch.part)
    with recipe.autocast(made.device.type):
        scores, logits = state.critic(made)
    back = _translated(state, made, batch.labels, batch.part, recipe)
    terms = {
        "G/fake": -scores.float().mean(),
        "G/rec": F.l1_loss(back, batch.faces),
        "G/cls": part.loss(logits[:, place], batch.targets),
    }
    loss = terms["G/fake"] + recipe.rec * terms["G/rec"] + recipe.cls * terms["G/cls"]
    if state.teachers:
        view = made if batch.frame is None else augment.move_frame(made, batch.frame)
        weights = made.new_tensor(recipe.emphasis)[place] if recipe.emphasis else None
        with recipe.autocast(view.device.type):
            seen = [_seen(teacher, view, part) for teacher in state.teachers]
        each = [part.loss(logits, batch.targets, weights) for logits in seen]
        terms["G/teacher"] = torch.stack(each).mean()
        loss = loss + recipe.teacher * terms["G/teacher"]
    if state.guide is not None:
        terms["G/guide"] = _from_guide(state, batch, made, recipe)
        loss = loss + recipe.guide * terms["G/guide"]
    if recipe.smooth > 0:
        terms["G/smooth"] = _variation(made - batch.faces)
        loss = loss + recipe.smooth * terms["G/smooth"]
    return loss, {key: value.detach() for key, value in terms.items()}


def fit(
    sources: Sequence[Source], run: Run, recipe: Recipe, progress: Progress, seen: Watch
) -> State:
    """Train until `recipe.steps`; resumes the run's checkpoint.

    Of several processes the main one keeps the run, and tells how far it is.
    """
    devices = open_devices()
    with devices.first():
        for source in sources:
            devices.check(min(recipe.batch, len(source.rows)))
        parts = Vocabulary(tuple(source.part for source in sources))
        state = start(recipe, parts, devices.device)
        equip(state, recipe, paints_of(sources, recipe, progress))
        saved = run.resume() if devices.main else None
    begin = _restored(state, devices.told(saved))
    for step in range(begin, recipe.steps):
        state.pace(recipe, step)
        done, last = step + 1, step + 1 == recipe.steps
        terms: dict[str, float] = {}
        for part, source in enumerate(sources):
            batch = draw(source, part, len(sources), step, recipe).shared(devices)
            if step < recipe.lessons and state.guide is not None:
                found = lesson(state, batch, recipe)
            else:
                found = update(state, batch, recipe, done % recipe.n_critic == 0)
            name = f"{part}/" if len(sources) > 1 else ""
            terms |= {name + key: value for key, value in devices.mean(found).items()}
        if not devices.main:
            continue
        if done % recipe.log_every == 0 or last:
            run.log(done, terms)
        if done % recipe.watch_every == 0 or last:
            seen(state, done)
        if done % recipe.every == 0 or last:
            run.save(done, recipe=asdict(recipe), labels=_stored(state.vocabulary), **state.parts())
        name, value = next((k, v) for k, v in terms.items() if k.endswith(("D/cls", "G/guide")))
        progress(done, recipe.steps, f"{name} {value:.3f}")
    return state


def train(
    root: Path, folder: Path, name: str, recipe: Recipe, progress: Progress
) -> dict[str, Any]:
    """Train on CelebA at `root`, write the model folder `folder/name`, return its card.

    progress(step, steps, text) is called after every step. Interrupted, the same call
    continues from the last checkpoint. Grids of test photos under every target go to
    `folder/samples`: they show people, keep them where the photos may be kept. Of several
    processes (see `devices`) all but the main one get {} for a card.
    Raises UnknownName for an attribute that the data lacks.
    """
    devices = open_devices()
    with devices.first():
        devices.check(recipe.batch)  # before photos are read
        sources = read_sources(root, recipe, progress)
        faces, labels = celeba_test(root, recipe, WATCHED)

    def seen(state: State, step: int) -> None:
        save_grid(folder / "samples" / f"{step:08d}.png", state, to_unit(faces), labels)

    fit(sources, Run(folder, tensorboard=devices.main), recipe, progress, seen)
    devices.leave()
    return export(root, folder, name, recipe, progress)


def _restored(state: State, saved: dict[str, Any] | None) -> int:
    """The step to go on from."""
    if saved is None:
        return 0
    state.load(saved)
    return int(saved["step"])


def _stored(vocabulary: Vocabulary) -> list[dict[str, Any]]:
    return [{"names": list(part.names), "kind": part.kind} for part in vocabulary.parts]


def _translated(
    state: State, faces: torch.Tensor, labels: torch.Tensor, part: int, recipe: Recipe
) -> torch.Tensor:
    with recipe.autocast(faces.device.type):
        made: torch.Tensor = state.generator(faces, state.vocabulary.vector(labels, part))
    return made


def _from_guide(state: State, batch: Batch, made: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    assert state.guide is not None
    names = state.vocabulary.parts[batch.part].names
    wish = batch.faces, batch.labels, batch.targets
    added = state.guide.added(*wish, names, batch.masks)
    return distance(made - batch.faces, added, recipe.tint)


def _pictures(
    source: Source, rows: np.ndarray, random: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Faces and masks, half of them mirrored."""
    faces = torch.from_numpy(to_unit(source.faces[rows]))
    if source.masks is None:
        return augment.flip(faces, random), None
    masks = torch.from_numpy(source.masks[rows]).permute(0, 3, 1, 2) / 255
    both = augment.flip(torch.cat([faces, masks], 1), random)
    return both[:, :3], both[:, 3:]


def _seen(teacher: Recogniser, made: torch.Tensor, part: Part) -> torch.Tensor:
    """What the recogniser makes of translations: logits [N, c] of the part's names.

    It reads them at half their size, or its own if smaller: without a network's own patterns.
    """
    for size in (min(made.shape[-1] // 2, teacher.size), teacher.size):
        made = F.interpolate(made, (size, size), mode="bilinear", antialias=True)
    return teacher.score(made)[:, [teacher.names.index(name) for name in part.names]]


def _variation(pictures: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of neighbours in [N, 3, S, S], down and to the right."""
    down, right = pictures.diff(dim=2).abs().mean(), pictures.diff(dim=3).abs().mean()
    return down + right


def _step(optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    open_devices().average(optimiser)
    optimiser.step()

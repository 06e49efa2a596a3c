"""Trainings by however many processes this module is launched in; see test_devices."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from mien.errors import BadInput
from mien.generators._labels import Part
from mien.train import stargan
from mien.train._stargan_data import Source
from mien.train.devices import open_devices
from mien.train.run import Run
from tests.train.test_stargan import TOY, coloured

RECIPE = replace(  # at rates ten times as high rounding becomes chaos within these steps
    TOY, steps=6, decay="none", every=3, watch_every=3, precision="fp32", targets="mixed",
    teacher=0.5, jitter=0.1, guide=2.0, lessons=1, condition="lookup",
    rate=1e-4, critic_rate=1e-4,
)  # fmt: skip
CHANGES = {
    "attributes": "Male,Young", "size": 16, "width": 4, "depth": 1, "critic_width": 4,
    "critic_depth": 2, "batch": 4, "steps": 2, "n_critic": 2, "tested": 2,
}  # fmt: skip
HALF = replace(RECIPE, steps=3)


class Teacher:
    """Reads means of colours."""

    names, size = ("red", "green", "blue", "calm", "cross"), 16

    def score(self, faces):
        return faces.mean((2, 3)) @ torch.linspace(-3, 4, 15).view(3, 5)


class Reddens:
    """A guide that adds red to whatever is asked for."""

    def added(self, faces, labels, targets, names, masks=None):
        change = torch.zeros_like(faces)
        change[:, 0] = (targets - labels).mean(1)[:, None, None]
        return change


EQUIP = stargan.equip


def equip(state, recipe, palette):
    state.teachers, state.guide = (Teacher(),), Reddens()


def sources():
    """Two data sets of colours, one of which does not know every label, and one of classes."""
    red, rest = coloured(40, ["red"], 0), coloured(30, ["green", "blue"], 1)
    rest.labels[::3, 1] = 0.5
    random = np.random.default_rng(2)
    faces = random.integers(0, 256, (20, 16, 16, 3)).astype(np.uint8)
    labels = F.one_hot(torch.from_numpy(random.integers(0, 2, 20)), 2).float()
    return [red, rest, Source(faces, np.arange(20), labels, Part(("calm", "cross"), "classes"))]


def fit(folder: Path, recipe: stargan.Recipe) -> None:
    stargan.equip = equip
    run = Run(folder, tensorboard=False)
    stargan.fit(sources(), run, recipe, lambda *a: None, lambda *a: None)


def refusal(folder: Path) -> str:
    """What a batch that cannot be shared ends in, here."""
    try:
        fit(folder, replace(RECIPE, batch=9))
    except (BadInput, SystemExit) as error:
        return f"{type(error).__name__}: {error}"
    return "trained"


def words(root: Path) -> list[str]:
    """The arguments of a training by the command line."""
    fields = [word for change in CHANGES.items() for word in ("--recipe", "{}={}".format(*change))]
    return ["train", "stargan", str(root / "celeba"), "-o", str(root / "command"), *fields]


def main(root: Path) -> None:
    """A whole training, half of one begun elsewhere, half of one, a refusal, and the command."""
    from mien.cli.app import app

    fit(root / "several", RECIPE)
    fit(root / "one-several", RECIPE)
    fit(root / "several-one", HALF)
    rank = open_devices().rank
    (root / f"refusal-{rank}.txt").write_text(refusal(root / "refused"))
    stargan.equip = EQUIP
    app(words(root))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""What changes faces: read once a person, and the same as the commands for photos do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mien.edit.photo import edit_photo
from mien.edit.recipe import Recipe
from mien.edit.translate import Wish, translate_faces
from mien.errors import BadInput, UnknownName
from mien.faces.portrait import Portrait
from mien.generators.stargan import Architecture, Generator, StarGAN
from mien.live.changes import PEOPLE, Edits, Translates
from mien.live.keys import Shown, pressed
from mien.types import Directions, Face, Latent

PARTS = [
    {"names": ["Black_Hair", "Blond_Hair", "Male"], "kind": "binary"},
    {"names": ["happy", "angry"], "kind": "classes"},
]


class Recogniser:
    """Sees an attribute where the face is bright; counts how often it is asked."""

    names, size = ("Male", "Black_Hair", "Blond_Hair"), 16

    def __init__(self) -> None:
        self.asked = 0

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        self.asked += 1
        level = (faces.mean(axis=(1, 2, 3)) + 1) / 2
        return np.repeat(level[:, None], 3, axis=1).astype(np.float32)


@pytest.fixture
def translator() -> StarGAN:
    torch.manual_seed(0)
    shape = Architecture(size=16, width=4, depth=1, labels=7)
    card = {
        "name": "toy", "parts": PARTS, "sha256": "0" * 64,
        "input": {"size": 16, "frame": "celeba", "range": [-1, 1]},
    }  # fmt: skip
    return StarGAN(Generator(shape), card)


def face(level: float = 0.3) -> np.ndarray:
    noise = np.random.default_rng(0).uniform(-0.2, 0.2, (1, 3, 16, 16))
    return (level + noise).astype(np.float32)


def test_a_translation_is_that_of_photos_and_the_person_is_read_once(translator: StarGAN) -> None:
    recogniser = Recogniser()
    changes = Translates(translator, recogniser, strength=0.5)
    made, before = changes.change(face(), {"Blond_Hair": 1}, person=1)
    wanted = translate_faces(face(), translator, Recogniser(), Wish({"Blond_Hair": 1}, 0.5))
    np.testing.assert_array_equal(made, wanted)
    np.testing.assert_array_equal(before, face())
    changes.change(face(-0.5), {"Male": 0}, person=1)
    assert recogniser.asked == 1
    dark, _ = changes.change(face(-0.5), {"Blond_Hair": 1}, person=2)
    assert recogniser.asked == 2
    wanted = translate_faces(face(-0.5), translator, Recogniser(), Wish({"Blond_Hair": 1}, 0.5))
    np.testing.assert_array_equal(dark, wanted)
    for person in range(3, 3 + PEOPLE):  # the first are forgotten
        changes.change(face(), {"Male": 1}, person)
    changes.change(face(), {"Male": 1}, 1)
    assert recogniser.asked == 3 + PEOPLE


def test_keys_of_a_translator_keep_to_what_it_can_do_together(translator: StarGAN) -> None:
    changes = Translates(translator, Recogniser())
    targets = changes.targets({"Male": 0.0})
    assert targets.slots == ("Male", "Black_Hair", "Blond_Hair", "happy", "angry")
    shown = Shown({"Male": 0.0})
    for key, wish in (
        ("2", {"Male": 0, "Black_Hair": 1}), ("3", {"Male": 0, "Blond_Hair": 1}),
        ("4", {"happy": 1}), ("5", {"angry": 1}), ("1", {"Male": 0}),
    ):  # fmt: skip
        shown = pressed(ord(key), shown, targets)
        assert shown.wish == wish
        changes.change(face(), shown.wish, 1)
    with pytest.raises(UnknownName, match="known: Black_Hair, Blond_Hair, Male"):
        changes.targets({"Beard": 1})
    with pytest.raises(BadInput, match="exclude each other"):
        changes.targets({"Black_Hair": 1, "Blond_Hair": 1})


class Space:
    """Latents are the three colours' means; a face is drawn in one colour."""

    size, frame, space, mark = 16, "celeba", "z", "toy@0"

    def encode(self, faces: np.ndarray) -> Latent:
        return Latent(faces.mean(axis=(2, 3)).astype(np.float32), "z", "toy@0")

    def decode(self, latent: Latent) -> np.ndarray:
        shape = (len(latent), 3, 16, 16)
        return np.broadcast_to(latent.values[:, :, None, None], shape).clip(-1, 1).copy()


def directions() -> Directions:
    ones = np.ones(3, np.float32)
    return Directions(
        names=("Male", "Black_Hair", "Blond_Hair"), vectors=np.eye(3, dtype=np.float32),
        bias=0 * ones, low=-ones, high=ones, unit=0.5 * ones, space="z", model="toy@0",
        orthonormal=True,
    )  # fmt: skip


@pytest.mark.parametrize("wish", [{"move": {"Male": 0.6}}, {"set": {"Black_Hair": 1}}])
def test_an_edit_is_that_of_photos_and_its_amounts_stay(wish: dict[str, dict[str, float]]) -> None:
    recipe = Recipe("toy", "toy-directions", hold=("Blond_Hair",), **wish)
    recogniser = Recogniser()
    changes = Edits(Space(), directions(), recogniser, recipe)  # type: ignore[arg-type]
    on = dict(recipe.set) | dict(recipe.move)
    made, before = changes.change(face(), on, person=1)
    photo = np.zeros((16, 16, 3), np.uint8)
    portrait = Portrait(Path(), photo, Face(face()[0], np.eye(2, 3), "celeba"), 1)
    wanted = edit_photo(portrait, Space(), directions(), Recogniser(), recipe)  # type: ignore[arg-type]
    np.testing.assert_allclose(made[0], wanted.face)
    np.testing.assert_allclose(before[0], wanted.reconstruction)
    asked = recogniser.asked
    darker, plain = changes.change(face(0.1), on, person=1)
    np.testing.assert_allclose(darker - plain, made - before, atol=1e-6)
    assert recogniser.asked == asked
    assert list(changes.targets(on).slots) == list(on)


def test_one_of_two_targets_moves_alone() -> None:
    recipe = Recipe("toy", "toy-directions", move={"Male": 1.0, "Blond_Hair": -1.0})
    changes = Edits(Space(), directions(), Recogniser(), recipe)  # type: ignore[arg-type]
    made, before = changes.change(face(0), {"Blond_Hair": -1.0}, 1)
    np.testing.assert_allclose((made - before)[0, :, 0, 0], [0, 0, -0.5], atol=1e-6)
    with pytest.raises(UnknownName, match="Smiling"):
        changes.targets({"Smiling": 1.0})

"""The pipeline over a linear toy space, where every step is known in closed form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.edit.photo import edit_photo, edit_strip
from mien.edit.recipe import Recipe
from mien.errors import SpaceMismatch, UnknownName
from mien.faces.portrait import Portrait
from mien.types import Directions, Face, Latent

SIZE, NAMES = 8, ("Smiling", "Male")


class Space:
    """A latent of two numbers: the mean of the face's left half and of its right half."""

    card: dict[str, object] = {}  # noqa: RUF012
    mark, space, size, frame = "toy@1", "z", SIZE, "celeba"

    def encode(self, faces: np.ndarray) -> Latent:
        halves = [faces[..., : SIZE // 2], faces[..., SIZE // 2 :]]
        values = np.stack([half.mean(axis=(1, 2, 3)) for half in halves], axis=1)
        return Latent(values.astype(np.float32), self.space, self.mark)

    def decode(self, latent: Latent) -> np.ndarray:
        columns = np.repeat(latent.values, SIZE // 2, axis=1)
        faces = np.broadcast_to(columns[:, None, None, :], (len(latent), 3, SIZE, SIZE))
        return np.clip(faces, -1, 1).astype(np.float32)

    def sample(self, count: int, seed: int = 0) -> Latent:
        raise AssertionError("an edit draws nothing")


class Recogniser:
    """Sees a smile as bright as the left half, and no one is male."""

    names = NAMES

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        left = faces[..., : SIZE // 2].mean(axis=(1, 2, 3))
        return np.stack([(left + 1) / 2, np.zeros_like(left)], axis=1).astype(np.float32)


def _directions(model: str = Space.mark) -> Directions:
    ones = np.ones(2, np.float32)
    return Directions(
        names=NAMES, vectors=np.eye(2, dtype=np.float32), bias=0 * ones, low=-ones, high=ones,
        unit=2 * ones, space="z", model=model, orthonormal=True,
    )  # fmt: skip


def _portrait(left: float, right: float) -> Portrait:
    photo = np.full((40, 60, 3), 128, np.uint8)
    pixels = np.empty((3, SIZE, SIZE), np.float32)
    pixels[..., : SIZE // 2], pixels[..., SIZE // 2 :] = left, right
    matrix = np.array([[0.5, 0, -10], [0, 0.5, -5]])  # the face covers 16 px from (20, 10)
    return Portrait(Path("a.png"), photo, Face(pixels, matrix, "celeba"), 1)


def _edit(recipe: Recipe) -> tuple[object, ...]:
    edited = edit_photo(_portrait(-0.4, 0.2), Space(), _directions(), Recogniser(), recipe)
    return edited, edited.face[0, 0, 0], edited.face[0, 0, -1]


def test_set_reaches_the_wanted_presence() -> None:
    # seen: (-0.4 + 1) / 2 = 0.3; amount 0.9 - 0.3 = 0.6; latent -0.4 + 0.6 * 2 = 0.8
    edited, left, right = _edit(Recipe("toy", "toy", set={"Smiling": 0.9}))
    assert edited.present["Smiling"] == pytest.approx(0.3)
    assert edited.amounts == {"Smiling": pytest.approx(0.6)}
    assert (left, right) == (pytest.approx(0.8), pytest.approx(0.2))
    assert Recogniser().probabilities(edited.face[None])[0, 0] == pytest.approx(0.9)


def test_set_goes_no_further_than_is_needed_and_move_in_full() -> None:
    # a unit of 8 overshoots: latent -0.4 + share * 0.7 * 8 shows presence 1 from a quarter on
    far = replace(_directions(), unit=np.array([8, 8], np.float32))
    recipe = Recipe("toy", "toy", set={"Smiling": 1.0}, move={"Male": 0.05})
    edited = edit_photo(_portrait(-0.4, 0.2), Space(), far, Recogniser(), recipe)
    assert edited.amounts == {"Smiling": pytest.approx(0.7 / 4), "Male": pytest.approx(0.05)}
    assert edited.face[0, 0, -1] == pytest.approx(0.2 + 0.05 * 8)


def test_move_adds_units_whatever_is_seen() -> None:
    edited, left, right = _edit(Recipe("toy", "toy", move={"Male": -0.25}))
    assert edited.amounts == {"Male": -0.25}
    assert (left, right) == (pytest.approx(-0.4), pytest.approx(0.2 - 0.5))


def test_nothing_to_do_gives_the_photo_back() -> None:
    edited, _, _ = _edit(Recipe("toy", "toy", move={"Male": 0.0}))
    np.testing.assert_array_equal(edited.face, edited.reconstruction)
    np.testing.assert_array_equal(edited.photo, _portrait(0, 0).photo)


def test_only_the_place_of_the_face_changes() -> None:
    edited, _, _ = _edit(Recipe("toy", "toy", move={"Male": 0.4}))
    changed = (edited.photo != _portrait(0, 0).photo).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert changed.any()
    assert rows.min() >= 10
    assert rows.max() < 26
    assert columns.min() >= 20
    assert columns.max() < 36


def test_strip_scales_the_whole_edit() -> None:
    edited, _, _ = _edit(Recipe("toy", "toy", move={"Male": 0.2, "Smiling": 0.1}))
    faces = edit_strip(edited, Space(), _directions(), (-1.0, 0.0, 0.5, 1.0))
    np.testing.assert_allclose(faces[:, 0, 0, 0], [-0.6, -0.4, -0.3, -0.2], atol=1e-6)
    np.testing.assert_allclose(faces[:, 0, 0, -1], [-0.2, 0.2, 0.4, 0.6], atol=1e-6)
    np.testing.assert_array_equal(faces[1], edited.reconstruction)
    np.testing.assert_array_equal(faces[3], edited.face)


def test_refuses_names_and_spaces_that_do_not_fit() -> None:
    with pytest.raises(UnknownName, match="did you mean Smiling"):
        _edit(Recipe("toy", "toy", set={"Smile": 1}))
    with pytest.raises(UnknownName, match="did you mean Male"):
        _edit(Recipe("toy", "toy", set={"Smiling": 1}, hold=("Mal",)))
    strange, recipe = _directions("other@2"), Recipe("toy", "toy", move={"Male": 1})
    with pytest.raises(SpaceMismatch, match="other@2"):
        edit_photo(_portrait(0, 0), Space(), strange, Recogniser(), recipe)

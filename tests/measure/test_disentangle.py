from dataclasses import replace

import numpy as np
import pytest

from mien.errors import BadInput, SpaceMismatch
from mien.measure.disentangle import change, merit, purity, separability, towards
from mien.types import Attributes, Latent
from tests.directions.toys import directions, latent


def test_separability_counts_known_faces_on_their_side():
    found = replace(directions(np.eye(2)), bias=np.array([-1, 0], np.float32))
    faces = latent([[2, 0], [0, 0], [3, 0], [0.5, 0], [9, 0]])
    table = np.array([[1, 0], [-1, 0], [-1, 0], [1, 0], [0, 0]], np.int8)
    got = separability(found, faces, Attributes(("A", "Z"), table))
    assert list(got) == ["A"]
    assert got["A"].faces == 4
    assert got["A"].accuracy == 0.5
    assert got["A"].balanced == 0.5


def test_rare_attributes_need_more_than_one_answer():
    found = replace(directions(np.eye(2)), bias=np.array([-99, 0], np.float32))
    labels = np.full((50, 1), -1, np.int8)
    labels[0] = 1
    got = separability(found, latent(np.zeros((50, 2))), Attributes(("A",), labels))["A"]
    assert got.accuracy == pytest.approx(0.98)
    assert got.balanced == pytest.approx(0.5)
    alone = separability(found, latent(np.zeros((50, 2))), Attributes(("A",), 0 * labels))["A"]
    assert alone.faces == 0
    assert np.isnan(alone.accuracy)
    with pytest.raises(SpaceMismatch):
        separability(
            found, Latent(np.zeros((1, 2), np.float32), "w", "toy@0"), Attributes((), labels[:, :0])
        )


def test_change_is_that_of_a_loop():
    random = np.random.default_rng(0)
    before, after = random.random((2, 6, 3))
    signs = towards(before[:, 1])
    for face, sign in enumerate(signs):
        assert sign == (-1 if before[face, 1] > 0.5 else 1)
    got = change(before, after, signs)
    for column in range(3):
        want = sum(signs[n] * (after[n, column] - before[n, column]) for n in range(6)) / 6
        assert got[column] == pytest.approx(want)
    flipped = (before > 0.5).astype(float)
    assert change(flipped, 1 - flipped, towards(flipped[:, 0]))[0] == 1
    with pytest.raises(BadInput, match="readings after"):
        change(before, after[:3], signs)


def test_purity_and_merit():
    assert purity(np.array([0.6, 0.0, -0.8]), 0) == pytest.approx(0.36)
    assert purity(np.zeros(3), 0) == 0
    assert merit(0.5, 0.5) == pytest.approx(0.5)
    assert merit(1.0, 0.0) == merit(-0.5, 1.0) == merit(0, 0) == 0
    assert merit(0.9, 0.3) == pytest.approx(2 / (1 / 0.9 + 1 / 0.3))

"""Conditional, layered and absolute moves against InterFaceGAN's own numbers and closed forms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mien.directions import amounts_to, condition, edit, over_rows
from mien.errors import BadInput, SpaceMismatch
from mien.types import Directions, Latent
from tests.directions.toys import directions, latent
from tests.parity import fill

PARITY = Path(__file__).resolve().parents[1] / "parity"
SEEDS = st.integers(0, 10_000)


@pytest.fixture(scope="module")
def fixture():
    return fill.load(PARITY / "interfacegan_manipulator")


def boundaries(fixture, bias=0.0) -> Directions:
    """The fixture's four correlated boundaries; an amount of 1 is a length of 1."""
    rows = fixture.input("boundaries")
    found = directions(rows.T)
    return replace(found, bias=np.full(4, bias, np.float32), unit=np.ones(4, np.float32))


@pytest.mark.parametrize("conditions", ["", "B", "BC", "BCD"])
def test_projections_equal_the_original(fixture, conditions):
    found = condition(boundaries(fixture), "A", tuple(conditions))
    assert fixture.check(f"p{len(conditions)}", found.vectors.T)[1]


@pytest.mark.parametrize("conditions", ["B", "BC", "BCD"])
def test_holding_moves_along_the_original_projection(fixture, conditions):
    code = latent(fixture.input("code2d"))
    moved = edit(code, boundaries(fixture), {"A": 1}, tuple(conditions)).values - code.values
    want = fixture.output(f"p{len(conditions)}")
    np.testing.assert_allclose(moved / np.linalg.norm(moved), want, atol=1e-5)


def steps(fixture):
    config = fixture.manifest["config"]
    return np.linspace(config["start"], config["end"], config["steps"])


def test_absolute_moves_equal_the_original(fixture):
    code, wanted = latent(fixture.input("code2d")), steps(fixture)
    found = boundaries(fixture)
    repeated = code.with_values(np.repeat(code.values, len(wanted), axis=0))
    amounts = amounts_to(repeated, found, {"A": wanted})
    assert fixture.check("interp2d", edit(repeated, found, amounts).values)[1]


def test_relative_moves_over_all_rows_equal_the_original(fixture):
    code, wanted = fixture.input("code3d"), steps(fixture)
    found = over_rows(boundaries(fixture), code.shape[1], "w+")
    repeated = Latent(np.repeat(code, len(wanted), axis=0), "w+", "toy@0")
    assert fixture.check("interp3d", edit(repeated, found, {"A": wanted}).values)[1]


def some(seed, columns=4, count=3, size=7):
    random = np.random.default_rng(seed)
    found = directions(random.normal(size=(size, columns)) + 0.3, unit=1.7)
    bias = random.normal(size=columns).astype(np.float32)
    down = (0.5 + random.random(columns)).astype(np.float32)
    return latent(random.normal(size=(count, size))), replace(found, bias=bias, unit_down=down)


@settings(max_examples=25)
@given(SEEDS, st.floats(-4, 4), st.floats(-4, 4), st.sampled_from(["", "C", "CD"]))
def test_every_face_ends_at_the_distances_asked_for(seed, first, second, hold):
    faces, found = some(seed)
    amounts = amounts_to(faces, found, {"A": first, "B": second}, tuple(hold))
    after = edit(faces, found, amounts, tuple(hold), limit=False).values.astype(float)
    distances = after @ found.vectors.astype(float) + found.bias
    np.testing.assert_allclose(distances[:, 0], first, atol=2e-3)
    np.testing.assert_allclose(distances[:, 1], second, atol=2e-3)
    held = (after - faces.values) @ found.vectors[:, ["ABCD".index(name) for name in hold]]
    np.testing.assert_allclose(held, 0, atol=1e-3)


def test_the_boundary_is_at_distance_zero_not_at_the_origin():
    faces = latent(np.zeros((1, 4)))
    found = replace(directions(np.eye(4, 1)), bias=np.array([-2.5], np.float32))
    there = edit(faces, found, amounts_to(faces, found, {"A": 0}))
    np.testing.assert_allclose(there.values[0], [2.5, 0, 0, 0], atol=1e-6)


def test_distances_that_exclude_each_other():
    faces = latent(np.zeros((1, 4)))
    twins = directions(np.ones((4, 2)))
    with pytest.raises(BadInput, match="A, B cannot be moved independently"):
        amounts_to(faces, twins, {"A": 1, "B": 2})
    with pytest.raises(BadInput, match="both edited and held"):
        amounts_to(faces, twins, {"A": 1}, ["A"])
    with pytest.raises(SpaceMismatch):
        amounts_to(Latent(faces.values, "w", "toy@0"), twins, {"A": 1})
    assert amounts_to(faces, twins, {}) == {}


def layered(seed, rows=4, size=3):
    random = np.random.default_rng(seed)
    found = directions(random.normal(size=(rows * size, 3)) + 0.2, unit=1.3)
    values = random.normal(size=(2, rows, size)).astype(np.float32)
    return Latent(values, "z", "toy@0"), found


@settings(max_examples=25)
@given(SEEDS, st.floats(-3, 3), st.sets(st.integers(0, 3), min_size=1))
def test_chosen_layers_move_as_with_all_and_the_others_stay(seed, amount, rows):
    faces, found = layered(seed)
    text = ",".join(map(str, rows))
    part = edit(faces, found, {"A": amount}, layers=text).values
    whole = edit(faces, found, {"A": amount}).values
    for row in range(4):
        want = whole if row in rows else faces.values
        np.testing.assert_allclose(part[:, row], want[:, row], atol=1e-6)


@settings(max_examples=25)
@given(SEEDS, st.sets(st.integers(0, 3), min_size=2))
def test_held_attributes_stay_within_the_chosen_layers(seed, rows):
    faces, found = layered(seed)
    text = ",".join(map(str, rows))
    moved = edit(faces, found, {"A": 1}, ["B", "C"], layers=text).flat.astype(float) - faces.flat
    np.testing.assert_allclose(moved @ found.vectors[:, 1:], 0, atol=1e-4)
    free = edit(faces, found, {"A": 1}, layers=text).flat.astype(float) - faces.flat
    lengths = np.linalg.norm(moved, axis=1), np.linalg.norm(free, axis=1)
    assume((lengths[0] < 1.99 * lengths[1]).all())  # not cut at twice the length
    np.testing.assert_allclose(moved @ found.vectors[:, 0], free @ found.vectors[:, 0], rtol=1e-3)


@settings(max_examples=25)
@given(SEEDS)
def test_distances_are_reached_with_some_layers_too(seed):
    faces, found = layered(seed)
    amounts = amounts_to(faces, found, {"A": 1.5}, layers="1-2")
    after = edit(faces, found, amounts, layers="1-2")
    np.testing.assert_allclose(after.flat @ found.vectors[:, 0] + found.bias[0], 1.5, atol=1e-2)


def test_layers_that_make_no_sense():
    faces, found = layered(0)
    with pytest.raises(BadInput, match="no layer 7; choose from 0 to 3"):
        edit(faces, found, {"A": 1}, layers="2-7")
    with pytest.raises(BadInput, match="have no layers to choose"):
        edit(latent(faces.flat), found, {"A": 1}, layers="0")
    vectors = found.vectors.copy()
    vectors[:6, 0] = 0
    nowhere = directions(vectors)
    with pytest.raises(BadInput, match="A moves none of the chosen layers"):
        edit(faces, nowhere, {"A": 1}, layers="0-1")
    held = edit(faces, nowhere, {"B": 1}, ["A"], layers="0-1")  # nothing there to hold
    free = edit(faces, nowhere, {"B": 1}, layers="0-1")
    np.testing.assert_array_equal(held.values, free.values)


def test_a_conditioned_direction_keeps_what_it_was_calibrated_to():
    _, found = some(3)
    one = condition(found, "B", ["A", "C"])
    assert one.names == ("B",)
    for key in ("bias", "low", "high", "unit", "unit_down"):
        assert getattr(one, key)[0] == getattr(found, key)[1]
    np.testing.assert_allclose(one.vectors.T @ found.vectors[:, [0, 2]], 0, atol=1e-6)
    assert one.provenance["held"] == ["A", "C"]
    with pytest.raises(BadInput, match="B is both edited and held"):
        condition(found, "B", ["B"])


def test_rows_need_a_count():
    with pytest.raises(BadInput, match="cannot move 0 rows"):
        over_rows(some(0)[1], 0)

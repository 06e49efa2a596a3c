import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.edit.interpolate import interpolate, pairings
from mien.errors import BadInput, SpaceMismatch, UnknownName
from mien.types import Attributes, Latent

SEEDS = st.integers(0, 10_000)


def two(seed, shape=(5,)):
    values = np.random.default_rng(seed).normal(size=(2, 1, *shape)).astype(np.float32)
    return Latent(values[0], "z", "toy@0"), Latent(values[1], "z", "toy@0")


@pytest.mark.parametrize("way", ["linear", "spherical"])
@pytest.mark.parametrize("shape", [(5,), (3, 4)])
def test_begins_and_ends_at_the_two_faces(way, shape):
    first, second = two(0, shape)
    path = interpolate(first, second, 9, way)
    assert path.values.shape == (9, *shape)
    np.testing.assert_array_equal(path.values[0], first.values[0])
    np.testing.assert_array_equal(path.values[-1], second.values[0])


@given(SEEDS)
@settings(max_examples=20)
def test_linear_is_the_published_formula_backwards_too(seed):
    first, second = two(seed)
    path = interpolate(first, second, 10).values
    for row, f in zip(path, np.linspace(1, 0, 10), strict=True):  # z = f z1 + (1 - f) z2
        np.testing.assert_allclose(row, f * first.values[0] + (1 - f) * second.values[0], atol=1e-5)


@given(SEEDS)
@settings(max_examples=20)
def test_spherical_keeps_the_length_and_turns_evenly(seed):
    first, second = two(seed)
    unit = [f.with_values(f.values / np.linalg.norm(f.values)) for f in (first, second)]
    path = interpolate(*unit, 7, "spherical").values.astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 1, atol=1e-5)
    angles = np.arccos(np.clip((path[1:] * path[:-1]).sum(axis=1), -1, 1))
    np.testing.assert_allclose(angles, angles.mean(), atol=1e-3)


def test_each_row_of_w_plus_has_an_arc_of_its_own():
    first, second = two(3, (2, 4))
    path = interpolate(first, second, 5, "spherical").values
    for row in range(2):
        one, other = (Latent(f.values[:, row], "z", "toy@0") for f in (first, second))
        alone = interpolate(one, other, 5, "spherical").values
        np.testing.assert_allclose(path[:, row], alone, atol=1e-6)


def test_no_arc_between_parallel_opposed_or_empty_latents():
    one = np.array([[1.0, 2.0]], np.float32)
    for factor in (1.0, 3.0, -1.0, 0.0):
        ends = Latent(one, "z", "toy@0"), Latent(factor * one, "z", "toy@0")
        line, arc = (interpolate(*ends, 5, way).values for way in ("linear", "spherical"))
        np.testing.assert_allclose(arc, line, atol=1e-6)


def test_ways_that_lead_nowhere():
    first, second = two(0)
    with pytest.raises(UnknownName, match="did you mean spherical"):
        interpolate(first, second, 5, "sferical")
    with pytest.raises(BadInput, match="2 steps or more"):
        interpolate(first, second, 1)
    with pytest.raises(BadInput, match="2 were given for one"):
        interpolate(first, second.with_values(np.zeros((2, 5))), 5)
    with pytest.raises(SpaceMismatch):
        interpolate(first, Latent(second.values, "w", "toy@0"), 5)


def people(count=60, seed=0):
    table = np.random.default_rng(seed).choice([-1, 1], (count, 3)).astype(np.int8)
    return Attributes(("Smiling", "Male", "Young"), table)


@pytest.mark.parametrize("seed", range(5))
def test_pairings_are_what_they_say(seed):
    known = people()
    same, change, across = pairings(known, "Smiling", seed=seed)
    smile, male = known.column("Smiling"), known.column("Male")
    assert smile[same.first] == smile[same.second] == -1
    assert male[same.first] == male[same.second]
    assert (smile[change.first], smile[change.second]) == (-1, 1)
    assert male[change.first] == male[change.second]
    assert (smile[across.first], smile[across.second]) == (-1, 1)
    assert male[across.first] != male[across.second]
    rows = [row for pair in (same, change, across) for row in (pair.first, pair.second)]
    assert len(set(rows)) == 6
    assert pairings(known, "Smiling", seed=seed) == [same, change, across]
    assert "across gender" in across.name


def test_too_few_faces_for_a_pair():
    with pytest.raises(BadInput, match="too few faces without Smiling"):
        pairings(Attributes(("Smiling", "Male"), np.ones((9, 2), np.int8)), "Smiling")
    with pytest.raises(BadInput, match="name another"):
        pairings(people(), "Male")
    with pytest.raises(UnknownName):
        pairings(people(), "Smile")

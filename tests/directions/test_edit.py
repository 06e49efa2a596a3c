from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.directions import bounded, edit
from mien.directions._distribution import (
    fit_distribution,
    mahalanobis,
    shrink_movement,
    with_radius,
)
from mien.directions.contract import Distribution
from mien.errors import BadInput, SpaceMismatch, UnknownName
from mien.types import Latent
from tests.directions.toys import directions, latent

SIZE = 7
SEEDS = st.integers(0, 10_000)
AMOUNTS = st.floats(-5, 5, allow_nan=False, width=32)


def some(seed, columns=4, count=3):
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(SIZE, columns)) + 0.3
    return latent(generator.normal(size=(count, SIZE))), directions(vectors, unit=1.7)


def change(before, after, found):
    """float64 [N, M]: how far the coordinates moved."""
    return (after.values.astype(float) - before.values) @ found.vectors.astype(float)


@given(SEEDS, AMOUNTS)
def test_the_coordinate_moves_by_the_amount_in_units(seed, amount):
    faces, found = some(seed)
    moved = change(faces, edit(faces, found, {"B": amount}), found)
    np.testing.assert_allclose(moved[:, 1], amount * 1.7, atol=1e-4)


@given(SEEDS, AMOUNTS, st.sets(st.sampled_from("ACD")))
def test_held_coordinates_stay_and_the_edited_one_moves_in_full_or_at_twice_the_length(
    seed, amount, hold
):
    faces, found = some(seed)
    after = edit(faces, found, {"B": amount}, tuple(hold))
    moved = change(faces, after, found)
    for name in hold:
        np.testing.assert_allclose(moved[:, "ABCD".index(name)], 0, atol=2e-5)
    vectors = found.vectors.astype(float)
    rest = vectors[:, ["ABCD".index(name) for name in sorted(hold)]]
    least = np.linalg.lstsq(rest, vectors[:, 1], rcond=None)[0]
    left = np.linalg.norm(vectors[:, 1] - rest @ least)
    length = np.linalg.norm(after.values - faces.values, axis=1)
    np.testing.assert_allclose(length, abs(amount) * 1.7 * min(1 / left, 2), rtol=1e-3, atol=1e-5)
    full = amount * 1.7 if left >= 0.5 else amount * 1.7 * left * 2
    np.testing.assert_allclose(moved[:, 1], full, rtol=1e-3, atol=2e-5)


@given(SEEDS, AMOUNTS, st.sets(st.sampled_from("ACD")))
def test_holding_changes_nothing_in_a_basis(seed, amount, hold):
    vectors = np.linalg.qr(np.random.default_rng(seed).normal(size=(SIZE, 4)))[0]
    faces, found = some(seed)[0], directions(vectors)
    free, held = edit(faces, found, {"B": amount}), edit(faces, found, {"B": amount}, tuple(hold))
    np.testing.assert_allclose(free.values, held.values, atol=1e-5)


@given(SEEDS, AMOUNTS, AMOUNTS)
def test_movements_add_up_and_undo(seed, first, second):
    faces, found = some(seed)
    once = edit(faces, found, {"A": first, "B": second}, ["C"])
    twice = edit(edit(faces, found, {"B": second}, ["C"]), found, {"A": first}, ["C"])
    np.testing.assert_allclose(once.values, twice.values, atol=2e-5)
    back = edit(once, found, {"A": -first, "B": -second}, ["C"])
    np.testing.assert_allclose(back.values, faces.values, atol=2e-5)


def test_one_amount_a_face_is_one_edit_a_face():
    faces, found = some(3)
    amounts = np.array([-1.0, 0.0, 2.5])
    together = edit(faces, found, {"A": amounts, "B": 1}).values
    apart = [edit(faces[i : i + 1], found, {"A": a, "B": 1}).values for i, a in enumerate(amounts)]
    np.testing.assert_allclose(together, np.concatenate(apart), atol=1e-6)


def test_nothing_to_do_changes_no_bit():
    faces, found = some(4)
    np.testing.assert_array_equal(edit(faces, found, {}).values, faces.values)
    np.testing.assert_array_equal(edit(faces, found, {"A": 0}, ["B"]).values, faces.values)


def test_w_plus_latents_move_as_their_flat_selves():
    values = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    found = directions(np.random.default_rng(1).normal(size=(12, 2)))
    folded = edit(Latent(values, "z", "toy@0"), found, {"A": 2}, ["B"])
    flat = edit(latent(values.reshape(2, 12)), found, {"A": 2}, ["B"])
    assert folded.values.shape == (2, 3, 4)
    np.testing.assert_array_equal(folded.flat, flat.values)


def test_dependent_conditions_are_named():
    axes = np.eye(SIZE)
    found = directions(np.stack([axes[0], axes[1], axes[0] + axes[1], axes[1]], axis=1))
    faces = latent(np.zeros((1, SIZE)))
    with pytest.raises(BadInput, match="nothing of C is left when holding A, B"):
        edit(faces, found, {"C": 1}, ["A", "B"])
    with pytest.raises(BadInput, match=r"cannot hold B, D.*depend linearly on one another"):
        edit(faces, found, {"A": 1}, ["B", "D"])
    plane = directions(np.random.default_rng(0).normal(size=(2, 4)))
    with pytest.raises(BadInput, match=r"cannot hold A, B, C: .* depend linearly"):
        edit(latent(np.zeros((1, 2))), plane, {"D": 1}, ["A", "B", "C"])


@pytest.mark.parametrize(
    ("amounts", "hold", "error", "words"),
    [
        ({"A": float("nan")}, (), BadInput, "A is NaN"),
        ({"A": "much"}, (), BadInput, "expected a number"),
        ({"A": [1, 2]}, (), BadInput, "expected one number or 3"),
        ({"A": 1}, ("A",), BadInput, "both edited and held"),
        ({"Q": 1}, (), UnknownName, "unknown attribute 'Q'"),
        ({"A": 1}, ("Q",), UnknownName, "unknown attribute 'Q'"),
    ],
)
def test_wishes_that_make_no_sense(amounts, hold, error, words):
    faces, found = some(0)
    with pytest.raises(error, match=words):
        edit(faces, found, amounts, hold)


def test_latents_of_another_space_or_size():
    faces, found = some(0)
    with pytest.raises(SpaceMismatch, match="encode or fit it again"):
        edit(Latent(faces.values, "w", "toy@0"), found, {"A": 1})
    with pytest.raises(BadInput, match="latent has shape"):
        edit(latent(np.zeros((1, SIZE + 1))), found, {"A": 1})


def gaussian(seed, axes=SIZE, radius=4.0):
    generator = np.random.default_rng(seed)
    frame = np.linalg.qr(generator.normal(size=(SIZE, SIZE)))[0]
    rest = 0.7 if axes < SIZE else float("inf")
    scales = generator.uniform(0.3, 3, axes)
    return Distribution(generator.normal(size=SIZE), frame[:, :axes], scales, rest, radius)


def precision(known):
    """The inverse covariance written out in full."""
    inside = known.axes @ np.diag(1 / known.scales**2) @ known.axes.T
    return inside + (np.eye(SIZE) - known.axes @ known.axes.T) / known.rest**2


@given(SEEDS, st.integers(1, SIZE))
def test_distances_are_those_of_the_full_precision_matrix(seed, axes):
    known = gaussian(seed, axes)
    flat = np.random.default_rng(seed).normal(size=(5, SIZE))
    centred = flat - known.mean
    want = np.sqrt(np.einsum("nd,de,ne->n", centred, precision(known), centred))
    np.testing.assert_allclose(mahalanobis(flat, known), want, rtol=1e-9)


@given(SEEDS, st.integers(1, SIZE), st.floats(0.5, 20))
def test_a_limited_movement_ends_on_the_radius_or_is_left_alone(seed, axes, radius):
    known = gaussian(seed, axes, radius)
    generator = np.random.default_rng(seed + 1)
    flat, move = generator.normal(0, 2, (6, SIZE)), generator.normal(0, 4, (6, SIZE))
    share = shrink_movement(flat, move, known)
    assert ((share >= 0) & (share <= 1)).all()
    edge = np.maximum(mahalanobis(flat, known), radius)
    ends = mahalanobis(flat + share[:, None] * move, known)
    shortened = share < 1
    np.testing.assert_allclose(ends[shortened], edge[shortened], rtol=1e-7)
    assert (ends <= edge * (1 + 1e-9)).all()
    full = mahalanobis(flat + move, known)
    assert (full[shortened] >= edge[shortened] * (1 - 1e-9)).all()
    for row in np.flatnonzero(shortened):  # the first way out, not a later one
        path = flat[row] + np.linspace(0, share[row], 50)[:, None] * move[row]
        assert (mahalanobis(path, known) <= edge[row] * (1 + 1e-9)).all()


def test_a_face_outside_may_move_inwards_only():
    known = Distribution(np.zeros(2), np.eye(2), np.ones(2), float("inf"), 1.0)
    flat = np.array([[3.0, 0.0], [3.0, 0.0], [3.0, 0.0]])
    move = np.array([[1.0, 0.0], [-1.0, 0.0], [-9.0, 0.0]])
    np.testing.assert_allclose(shrink_movement(flat, move, known), [0, 1, 6 / 9])


def test_which_distribution_limits():
    faces, plain = some(5)
    known = gaussian(5, radius=3.0)
    far, carrying = {"A": 50.0}, bounded(plain, known)

    def distance(found, limit):
        return mahalanobis(edit(faces, found, far, limit=limit).values, known)

    edge = np.maximum(mahalanobis(faces.values, known), 3)
    np.testing.assert_allclose(distance(carrying, None), edge, rtol=1e-4)
    np.testing.assert_allclose(distance(carrying, True), edge, rtol=1e-4)
    np.testing.assert_allclose(distance(carrying, 20.0), 20, rtol=1e-4)
    np.testing.assert_allclose(distance(plain, with_radius(known, 20.0)), 20, rtol=1e-4)
    free = edit(faces, plain, far).values
    np.testing.assert_array_equal(edit(faces, carrying, far, limit=False).values, free)
    with pytest.raises(BadInput, match="carry no distribution"):
        edit(faces, plain, far, limit=True)
    with pytest.raises(BadInput, match="limit is -1"):
        edit(faces, carrying, far, limit=-1)


def test_the_fitted_distribution_is_that_of_the_latents():
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(SIZE, SIZE))
    faces = latent(generator.normal(size=(4000, SIZE)) @ mixing + 3)
    known = fit_distribution(faces, quantile=0.9, shrinkage=0)
    wide = faces.values.astype(float)
    np.testing.assert_allclose(known.mean, wide.mean(0), atol=1e-6)
    np.testing.assert_allclose(
        precision(known), np.linalg.inv(np.cov(wide.T, bias=True)), rtol=1e-6
    )
    assert abs((mahalanobis(wide, known) <= known.radius).mean() - 0.9) < 1e-3


def test_axes_left_out_share_their_mean_variance():
    generator = np.random.default_rng(0)
    faces = latent(generator.normal(size=(500, SIZE)) * np.arange(1, SIZE + 1))
    known = fit_distribution(faces, axes=2, shrinkage=0)
    variances = np.linalg.eigvalsh(np.cov(faces.values.astype(float).T, bias=True))
    np.testing.assert_allclose(known.scales**2, variances[-2:], rtol=1e-6)
    np.testing.assert_allclose(known.rest**2, variances[:-2].mean(), rtol=1e-6)


def test_a_collapsed_axis_does_not_rule_the_distance():
    values = np.random.default_rng(0).normal(size=(300, 3))
    values[:, 2] *= 1e-4
    known = fit_distribution(latent(values))
    assert known.scales.min() > 0.05


def test_latents_without_a_distribution():
    with pytest.raises(BadInput, match="two faces or more"):
        fit_distribution(latent(np.zeros((1, 3))))
    with pytest.raises(BadInput, match="all latents are equal"):
        fit_distribution(latent(np.zeros((5, 3))))
    with pytest.raises(BadInput, match="fit it on the same latents"):
        bounded(directions(np.eye(3)), gaussian(0))


@given(SEEDS, st.floats(0.01, 5))
def test_a_negative_amount_moves_by_the_unit_of_its_own(seed, amount):
    faces, found = some(seed)
    both = replace(found, unit_down=2 * found.unit)
    up = change(faces, edit(faces, both, {"B": amount}), found)[:, 1]
    down = change(faces, edit(faces, both, {"B": -amount}), found)[:, 1]
    np.testing.assert_allclose(up, amount * 1.7, atol=1e-4)
    np.testing.assert_allclose(down, -2 * amount * 1.7, atol=1e-4)

"""The search of weights: a planted optimum, its gradient, and what it may never return."""

import numpy as np
import pytest
from scipy.optimize import check_grad

from mien.errors import BadInput
from mien.search import preference
from mien.search.preference import Examples, Options, Preference, fit


def toy(seed=0, queries=30, faces=50, **fields):
    """Three attributes of which each query adjusts one."""
    random = np.random.default_rng(seed)
    coordinates = random.normal(size=(faces, 3)) * (1, 3, 0.5)
    wanted = np.full((queries, 3), np.nan)
    wanted[np.arange(queries), np.arange(queries) % 3] = 1
    made = {
        "coordinates": coordinates,
        "targets": random.normal(size=(queries, 3)),
        "rest": random.gamma(20, size=(queries, faces)),
        "wanted": wanted,
        "relevance": random.normal(size=(queries, faces)),
        "own": random.integers(0, faces, queries),
        "likeness": random.uniform(-1, 1, (queries, faces)),
    }
    return Examples(**made | fields)


def distances(examples, wishes):
    """Written out: weights of each query times squared differences, plus the rest."""
    found = examples.rest.copy()
    for q, target in enumerate(examples.targets):
        for m, value in enumerate(target):
            weight = (wishes.alone if np.isnan(examples.wanted[q, m]) else wishes.adjusted)[m]
            found[q] += weight * (value - examples.coordinates[:, m]) ** 2
    return found


def test_a_planted_preference_is_found():
    planted = Preference(np.array([2.0, 0.0, 7.0]), np.array([0.5, 4.0, 30.0]))
    empty = toy()
    known = toy(relevance=-distances(empty, planted))
    found = fit(known, Options(sharpness=8.0, iterations=2000))
    np.testing.assert_allclose(found.alone, planted.alone, rtol=0.02, atol=0.02)
    np.testing.assert_allclose(found.adjusted, planted.adjusted, rtol=0.02, atol=0.02)


def test_the_start_does_not_matter_for_the_cross_entropy():
    known = toy(relevance=-distances(toy(), Preference(np.ones(3), np.full(3, 5.0))))
    options = Options(sharpness=3.0, iterations=2000)
    far = Preference(np.array([100.0, 0.0, 3.0]), np.array([0.0, 50.0, 1.0]))
    first, second = fit(known, options), fit(known, options, far)
    np.testing.assert_allclose(first.alone, second.alone, rtol=0.05, atol=0.05)
    np.testing.assert_allclose(first.adjusted, second.adjusted, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("likeness", [0.0, 2.0])
def test_gradients_are_finite_differences(likeness):
    loss = preference._Loss(toy(), Options(likeness=likeness))
    point = np.random.default_rng(1).uniform(0.1, 1, 7)
    off = check_grad(lambda x: loss(x)[0], lambda x: loss(x)[1], point)
    assert off < 1e-5 * np.linalg.norm(loss(point)[1])


def test_likeness_is_bought_with_relevance():
    """The first attribute tells who is relevant, the second who is alike."""
    random = np.random.default_rng(2)
    coordinates, targets = random.normal(size=(80, 3)), random.normal(size=(40, 3))
    apart = (targets[:, None] - coordinates) ** 2
    known = toy(
        queries=40, faces=80, coordinates=coordinates, targets=targets,
        relevance=-apart[..., 0], likeness=np.exp(-apart[..., 1]),
    )  # fmt: skip
    for_relevance, for_both = fit(known), fit(known, Options(likeness=50.0))

    def alike(wishes):
        found = distances(known, wishes)
        found[np.arange(40), known.own] = np.inf
        return known.likeness[np.arange(40), found.argmin(axis=1)].mean()

    assert alike(for_both) > alike(for_relevance) + 0.1
    assert for_relevance.alone[0] > 10 * for_relevance.alone[1]


def test_weights_are_taken_by_what_is_adjusted():
    wishes = Preference(np.array([1.0, 2.0]), np.array([10.0, 20.0]))
    got = wishes.weights(np.array([[np.nan, 0.0], [1.0, np.nan]]))
    np.testing.assert_array_equal(got, [[1, 20], [10, 2]])


@pytest.mark.parametrize("field", ["coordinates", "targets", "rest", "relevance", "likeness"])
def test_nan_and_wrong_shapes_are_refused(field):
    table = getattr(toy(), field)
    with pytest.raises(BadInput, match="NaN"):
        toy(**{field: np.full_like(table, np.nan)})
    with pytest.raises(BadInput):
        toy(**{field: table[:-1]})

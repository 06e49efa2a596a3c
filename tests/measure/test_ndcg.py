import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from mien.errors import BadInput, UnknownName
from mien.measure.ndcg import (
    NdcgOptions,
    legacy_distances,
    legacy_ndcg,
    legacy_queries,
    ndcg,
    relevance,
    target_labels,
)
from mien.types import Attributes
from tests.parity import fill

NAMES = ("A", "B", "C")
WORLDS = st.tuples(st.integers(0, 10_000), st.integers(2, 30), st.integers(1, 4))


def world(drawn):
    """order [Q, N], gains [Q, N], distances in ranking order, k."""
    seed, faces, queries = drawn
    rng = np.random.default_rng(seed)
    distance = rng.integers(0, 6, (queries, faces)).astype(float)
    order = np.argsort(distance, axis=1, kind="stable")
    gains = rng.integers(0, 5, (queries, faces)).astype(float)
    ranked = np.take_along_axis(distance, order, axis=1)
    return order, gains, ranked, int(rng.integers(1, faces + 1)), distance


@settings(deadline=None)
@given(WORLDS)
def test_equals_scikit_learn_with_average_ties(drawn):
    order, gains, ranked, k, distance = world(drawn)
    got = ndcg(order, gains, k, NdcgOptions(ties="average"), ranked).mean()
    assert got == pytest.approx(ndcg_score(gains, -distance, k=k), abs=1e-12)


@settings(deadline=None)
@given(WORLDS)
def test_equals_scikit_learn_with_the_order_given(drawn):
    order, gains, _, k, _ = world(drawn)
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(order.shape[1])[None], axis=1)
    got = ndcg(order, gains, k).mean()
    assert got == pytest.approx(ndcg_score(gains, -place, k=k), abs=1e-12)


@settings(deadline=None)
@given(WORLDS)
def test_exponential_gain_is_that_of_scikit_learn_on_transformed_relevance(drawn):
    order, gains, ranked, k, distance = world(drawn)
    got = ndcg(order, gains, k, NdcgOptions(gain="exponential", ties="average"), ranked).mean()
    assert got == pytest.approx(ndcg_score(2**gains - 1, -distance, k=k), abs=1e-12)


@settings(deadline=None)
@given(WORLDS)
def test_the_older_discount_and_the_retrieved_ideal_by_their_formulas(drawn):
    order, gains, _, k, _ = world(drawn)
    got = ndcg(order, gains, k, NdcgOptions(discount="jarvelin", ideal="retrieved"))
    for row, value in enumerate(got):
        found = [gains[row][i] for i in order[row][:k]]

        def total(values):
            return values[0] + sum(v / math.log2(i) for i, v in enumerate(values[1:], start=2))

        ideal = total(sorted(found, reverse=True))
        assert value == pytest.approx(total(found) / ideal if ideal else 0.0)


@settings(deadline=None)
@given(WORLDS)
def test_lies_between_0_and_1_and_is_1_for_the_best_order(drawn):
    _, gains, _, k, _ = world(drawn)
    for options in (
        NdcgOptions(),
        NdcgOptions(discount="jarvelin"),
        NdcgOptions(gain="exponential"),
    ):
        worst = ndcg(np.argsort(gains, axis=1), gains, k, options)
        best = ndcg(np.argsort(-gains, axis=1), gains, k, options)
        assert (worst >= 0).all()
        assert (worst <= best + 1e-12).all()
        np.testing.assert_allclose(best, gains.max(axis=1) > 0)


def test_a_query_left_out_of_the_ranking_is_left_out_of_the_ideal():
    gains = np.array([[9.0, 1.0, 2.0]])
    np.testing.assert_allclose(ndcg(np.array([[2, 1]]), gains, 2), [1.0])


def table(rows):
    return Attributes(NAMES, np.array(rows, np.int8))


def test_adjusted_attributes_overwrite_the_target():
    wanted = np.array([[1.0, np.nan, 0.0], [0.5, 0.4, 0.6]])
    got = target_labels(np.array([[-1, -1, 1], [1, 1, 1]], np.int8), wanted)
    np.testing.assert_array_equal(got, [[1, -1, -1], [0, -1, 1]])


GALLERY = table([[1, 1, 1], [-1, 1, 0], [0, 0, 0], [1, -1, -1]])
QUERY, WANTED = table([[-1, 1, 0]]), np.array([[1.0, np.nan, np.nan]])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [2, 1, 0, 1]),  # wished: A present, B present, C unknown
        ({"target": "original"}, [1, 2, 0, 0]),
        ({"count": "adjusted"}, [1, 0, 0, 1]),
        ({"count": "preferred"}, [2.5, 2, 0, 0.5]),
    ],
)
def test_relevance_counts_matching_known_labels(options, expected):
    weights = np.array([[0.5, 2.0, 9.0]])
    got = relevance(GALLERY, QUERY, WANTED, weights, NdcgOptions(**options))
    np.testing.assert_array_equal(got, [expected])


@settings(deadline=None)
@given(st.integers(0, 9999))
def test_relevance_is_that_of_counting_one_by_one(seed):
    rng = np.random.default_rng(seed)
    gallery, queries = (table(rng.integers(-1, 2, (n, 3))) for n in (7, 4))
    wanted = rng.choice([np.nan, 0.0, 1.0], (4, 3))
    got = relevance(gallery, queries, wanted)
    for q, want in enumerate(wanted):
        target = [
            queries.table[q, m] if math.isnan(want[m]) else (1 if want[m] else -1) for m in range(3)
        ]
        for n, row in enumerate(gallery.table):
            matches = sum(t == label != 0 for t, label in zip(target, row, strict=True))
            assert got[q, n] == matches


def test_wrong_calls_are_refused():
    with pytest.raises(UnknownName, match="did you mean jarvelin"):
        NdcgOptions(discount="jaervelin")
    with pytest.raises(BadInput, match="needs 4 ranked faces"):
        ndcg(np.zeros((1, 3), int), np.ones((1, 3)), 4)
    with pytest.raises(BadInput, match="distances"):
        ndcg(np.zeros((1, 3), int), np.ones((1, 3)), 1, NdcgOptions(ties="average"))
    with pytest.raises(BadInput, match="weights"):
        relevance(GALLERY, QUERY, WANTED, options=NdcgOptions(count="preferred"))
    with pytest.raises(BadInput, match="other attributes"):
        relevance(GALLERY, Attributes(("A", "B", "D"), QUERY.table), WANTED)
    with pytest.raises(BadInput, match="wanted presences"):
        relevance(GALLERY, QUERY, WANTED[:, :2])


@pytest.fixture(scope="module")
def published():
    return fill.load(Path(fill.__file__).parent / "attribute_retrieval")


@pytest.fixture(scope="module")
def chosen(published):
    """(labels, column of the adjusted attribute, queries)."""
    from mien.faces.celeba import NAMES as CELEBA

    config = published.manifest["config"]
    kept = [CELEBA[index] for index in published.output("attr_indices")]
    labels, column = published.input("labels"), kept.index(config["attr"])
    return labels, column, legacy_queries(labels, column, config["value"], config["qsize"])


def test_queries_are_the_publisheds(published, chosen):
    np.testing.assert_array_equal(chosen[2], published.output("queries"))


def test_ndcg_is_the_publisheds(published, chosen):
    labels, column, queries = chosen
    config = published.manifest["config"]
    F = published.output("orth_0").astype(np.float64)
    F /= np.linalg.norm(F, axis=0)
    gallery = published.input("gallery")
    extremes = ((gallery @ F).max(axis=0), (gallery @ F).min(axis=0))
    adjust = np.full(F.shape[1], -1.0)
    adjust[column] = config["value"]
    ones = np.ones(F.shape[1])
    rankings = [
        legacy_distances(F, gallery, gallery[q], ones, adjust, extremes)[0] for q in queries
    ]
    got = legacy_ndcg(labels, queries, np.array(rankings), config["topk"])
    assert published.check("nDCG", np.float64(got))[1]


def test_the_publisheds_ndcg_hardly_sees_a_random_order():
    rng = np.random.default_rng(0)
    labels = (rng.random((400, 35)) < 0.25).astype(np.int64)
    rankings = np.stack([rng.permutation(400) for _ in range(100)])
    assert legacy_ndcg(labels, np.arange(100), rankings, 5) > 0.9

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import BadInput
from mien.search.distance import decompose, explain, legacy_distances, rank
from tests.parity import fill
from tests.search.toys import basis

WORLDS = st.tuples(
    st.integers(0, 10_000),  # seed
    st.integers(1, 12),  # faces
    st.integers(1, 20),  # numbers of a latent
    st.sampled_from([0.0, 1e-20, 1e-3, 1.0, 1e6]),  # scale of the latents
)
WEIGHTS = st.sampled_from([0.0, 1e-9, 0.5, 1.0, 3.0, 1e12])


def world(drawn):
    """values [N, D], query [D], vectors [D, M], move [M] and the generator."""
    seed, faces, size, scale = drawn
    rng = np.random.default_rng(seed)
    vectors = basis(seed, size, rng.integers(1, size + 1))
    values = (scale * rng.normal(size=(faces, size))).astype(np.float32)
    query = (scale * rng.normal(size=size)).astype(np.float32)
    move = scale * rng.normal(size=vectors.shape[1]) * rng.integers(0, 2, vectors.shape[1])
    return values, query, vectors, move, rng


def brute_force(value, query, vectors, move, weights):
    """(attribute shares, rest) with the D x D projector, one coordinate at a time."""
    F = vectors.astype(np.float64)
    delta = query.astype(np.float64) - value.astype(np.float64)
    projector = np.eye(len(F)) - F @ F.T
    shares = [
        weights[m] * (sum(F[i, m] * delta[i] for i in range(len(F))) + move[m]) ** 2
        for m in range(F.shape[1])
    ]
    return np.array(shares), float(np.sum((projector @ delta) ** 2))


@settings(deadline=None)
@given(WORLDS, st.data())
def test_shares_are_those_of_brute_force(drawn, data):
    values, query, vectors, move, _ = world(drawn)
    weights = np.array([data.draw(WEIGHTS) for _ in move])
    got = explain(values, query, vectors, move, weights)
    size = 1 + np.abs(query).max() ** 2 + np.abs(values).max() ** 2
    for row, value in enumerate(values):
        shares, rest = brute_force(value, query, vectors, move, weights)
        slack = 1e-12 * size * (1 + weights)
        assert (np.abs(got.attributes[row] - shares) <= slack).all()
        assert abs(got.rest[row] - rest) <= 1e-12 * size


@settings(deadline=None)
@given(WORLDS, st.data())
def test_shares_are_not_negative_and_sum_to_the_distance(drawn, data):
    values, query, vectors, move, _ = world(drawn)
    weights = np.array([data.draw(WEIGHTS) for _ in move])
    got = explain(values, query, vectors, move, weights)
    assert (got.attributes >= 0).all()
    assert (got.rest >= 0).all()
    total = [sum(row) + rest for row, rest in zip(got.attributes, got.rest, strict=True)]
    np.testing.assert_allclose(got.distance, total, rtol=1e-12)


@settings(deadline=None)
@given(WORLDS)
def test_without_wishes_it_is_the_squared_euclidean_distance(drawn):
    values, query, vectors, move, _ = world(drawn)
    got = explain(values, query, vectors, 0 * move, np.ones(len(move))).distance
    gap = values.astype(np.float64) - query
    np.testing.assert_allclose(got, (gap**2).sum(axis=1), rtol=1e-6)


@settings(deadline=None)
@given(WORLDS)
def test_a_face_is_at_distance_0_from_itself(drawn):
    values, _, vectors, move, _ = world(drawn)
    for row, value in enumerate(values):
        got = explain(values, value, vectors, 0 * move, np.full(len(move), 1e12))
        assert got.distance[row] == 0


@settings(deadline=None)
@given(st.integers(0, 999), st.integers(2, 40), st.integers(1, 70))
def test_copies_of_a_face_are_equally_far_to_the_last_bit(seed, copies, size):
    rng = np.random.default_rng(seed)
    vectors = basis(seed, size, rng.integers(1, size + 1))
    values = np.repeat(rng.normal(size=(1, size)), copies, axis=0).astype(np.float32)
    move, weights = rng.normal(size=vectors.shape[1]), rng.uniform(0, 9, vectors.shape[1])
    got = explain(values, rng.normal(size=size), vectors, move, weights).distance
    assert len(set(got.tolist())) == 1


def test_moving_the_query_along_the_basis_leaves_the_rest_alone():
    values, query, vectors, _, rng = world((3, 8, 12, 1.0))
    move = rng.normal(size=vectors.shape[1])
    weights = rng.uniform(0, 5, vectors.shape[1])
    moved = query + vectors.astype(np.float64) @ move
    here = explain(values, query, vectors, move, weights)
    there = explain(values, moved, vectors, 0 * move, weights)
    np.testing.assert_allclose(here.attributes, there.attributes, atol=1e-5)
    np.testing.assert_allclose(here.rest, there.rest, atol=1e-5)


@settings(deadline=None)
@given(WORLDS)
def test_decompose_splits_the_squared_norm(drawn):
    values, _, vectors, _, _ = world(drawn)
    scores, rest = decompose(values, vectors)
    wide = values.astype(np.float64)
    norm = (wide**2).sum(axis=1)
    outside = wide - (wide @ vectors) @ vectors.T
    np.testing.assert_allclose(scores, wide @ vectors, rtol=1e-9, atol=1e-12 * norm.max() ** 0.5)
    np.testing.assert_allclose(rest, (outside**2).sum(axis=1), atol=1e-12 * norm.max())
    assert (rest >= 0).all()


@settings(deadline=None)
@given(WORLDS, st.integers(1, 5))
def test_many_queries_at_once_are_ranked_as_one_by_one(drawn, queries):
    values, _, vectors, _, rng = world(drawn)
    asked = values[rng.integers(0, len(values), queries)] + rng.normal(size=(queries, 1))
    moves = rng.normal(size=(queries, vectors.shape[1]))
    weights = rng.choice([0, 0.5, 1, 30], moves.shape)
    got = rank(values, asked, vectors, moves, weights)
    scale = 1e-10 * (1 + np.abs(values).max() ** 2)
    for row in range(queries):
        one = explain(values, asked[row], vectors, moves[row], weights[row]).distance
        assert sorted(got.order[row]) == list(range(len(values)))
        assert (np.diff(got.distance[row]) >= 0).all()
        np.testing.assert_allclose(got.distance[row], one[got.order[row]], atol=scale, rtol=1e-9)


def test_rank_keeps_the_gallerys_order_among_ties():
    values = np.zeros((5, 3), np.float32)
    got = rank(values, np.ones((1, 3)), basis(0, 3, 2), np.zeros((1, 2)), np.ones((1, 2)))
    np.testing.assert_array_equal(got.order, [[0, 1, 2, 3, 4]])


@pytest.mark.parametrize("place", range(4))
def test_nan_is_refused(place):
    values, query, vectors, move, _ = world((0, 4, 6, 1.0))
    given_ = [values, query, move, np.ones(len(move))]
    given_[place] = np.full_like(given_[place], np.nan)
    values, query, move, weights = given_
    with pytest.raises(BadInput, match="NaN"):
        explain(values, query, vectors, move, weights)
    with pytest.raises(BadInput, match="NaN"):
        rank(values, query[None], vectors, move[None], weights[None])


@pytest.fixture(scope="module")
def published():
    return fill.load(Path(fill.__file__).parent / "attribute_retrieval")


@pytest.mark.parametrize("setting", range(5))
def test_rankings_and_distances_are_the_publisheds(published, setting):
    F = published.output("orth_0").astype(np.float64)
    F /= np.linalg.norm(F, axis=0)
    gallery = published.input("gallery")
    coordinates = gallery @ F
    ranking, distances = legacy_distances(
        F,
        gallery,
        gallery[published.input("query_index")[setting]],
        published.input("pq")[setting],
        published.input("aq")[setting],
        (coordinates.max(axis=0), coordinates.min(axis=0)),
    )
    np.testing.assert_array_equal(ranking, published.output(f"ranking_{setting}"))
    assert published.check(f"distances_{setting}", distances)[1]
    assert published.check("amax", coordinates.max(axis=0))[1]
    assert published.check("amin", coordinates.min(axis=0))[1]

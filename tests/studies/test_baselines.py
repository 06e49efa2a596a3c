"""The retrieval study's baselines against closed forms and the published reproduction."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.directions.contract import Labelled
from mien.faces.celeba import NAMES as CELEBA
from mien.measure.ndcg import legacy_ndcg, legacy_queries
from mien.search.query import moves
from mien.studies import _baselines as baselines
from mien.studies._queries import Task
from mien.types import Attributes, Directions, Latent
from tests.parity import fill


def directions(vectors, orthonormal=False):
    vectors = np.asarray(vectors, np.float32)
    vectors /= np.linalg.norm(vectors, axis=0)
    count = vectors.shape[1]
    zero, names = np.zeros(count, np.float32), tuple("abcdef"[:count])
    return Directions(names, vectors, zero, zero - 2, zero + 3, zero + 5, "z", "toy@0", orthonormal)


def draw(queries=12, dimensions=9, attributes=4, seed=0):
    """(latents, wanted presences with three attributes adjusted each)."""
    random = np.random.default_rng(seed)
    wanted = np.full((queries, attributes), np.nan)
    for row in wanted:
        row[random.permutation(attributes)[:3]] = random.integers(0, 2, 3)
    return random.normal(size=(queries, dimensions)), wanted


def test_orthogonal_boundaries_make_the_basis_move_in_any_order():
    random = np.random.default_rng(1)
    basis = directions(np.linalg.qr(random.normal(size=(9, 4)))[0], orthonormal=True)
    queries, wanted = draw()
    alpha = moves(queries @ basis.vectors, wanted, basis)
    want = queries + alpha @ basis.vectors.T
    for turn in range(6):
        got = baselines.sequential(queries, wanted, basis, turn)
        np.testing.assert_allclose(got, want, atol=1e-5)


def test_a_later_boundary_leaves_the_earlier_attribute_and_falls_short_itself():
    """In the plane, 60 degrees apart: the second step is sin 60 of what it would need."""
    vectors = np.array([[1, 0.5], [0, np.sqrt(0.75)]])
    tilted = directions(vectors)
    wanted = np.array([[1.0, 1.0]])
    first, second = (baselines.sequential(np.zeros((1, 2)), wanted, tilted, t) for t in (0, 1))
    # along a to 3; then along a's normal by 3 - 3 cos 60
    np.testing.assert_allclose(first, [[3, 1.5]], atol=1e-6)
    mirrored = 2 * np.outer(*[np.array([np.cos(np.pi / 6), np.sin(np.pi / 6)])] * 2) - np.eye(2)
    np.testing.assert_allclose(second, first @ mirrored, atol=1e-6)
    assert (first @ vectors)[0, 1] == pytest.approx(1.5 + 1.5 * np.sqrt(0.75))


def test_a_single_attribute_has_one_order():
    wanted = draw()[1]
    one = np.where(np.arange(4) == 2, 1.0, np.nan) * np.ones((12, 1))
    assert baselines.turns(Task(np.arange(12), one)) == 1
    assert baselines.turns(Task(np.arange(12), wanted)) == 6
    values = np.random.default_rng(3).normal(size=(20, 9)).astype(np.float32)
    tilted = directions(np.random.default_rng(4).normal(size=(9, 4)))
    orders = baselines.interfacegan(values, Task(np.arange(12), wanted), tilted)
    assert len(orders) == 6
    assert any((order != orders[0]).any() for order in orders)


def test_stretched_steps_are_longer_by_that_much():
    queries, _ = draw()
    tilted = directions(np.random.default_rng(4).normal(size=(9, 4)))
    one = np.where(np.arange(4) == 2, 1.0, np.nan) * np.ones((12, 1))
    plain = baselines.sequential(queries, one, tilted) - queries
    twice = baselines.sequential(queries, one, tilted, stretch=2.0) - queries
    np.testing.assert_allclose(twice, 2 * plain)


def test_euclidean_is_the_distance():
    random = np.random.default_rng(5)
    values, queries = random.normal(size=(30, 7)).astype(np.float32), random.normal(size=(4, 7))
    apart = ((queries[:, None] - values) ** 2).sum(axis=2)
    np.testing.assert_array_equal(baselines.euclidean(values, queries), apart.argsort(axis=1))


@pytest.fixture(scope="module")
def published():
    return fill.load(Path(fill.__file__).parent / "attribute_retrieval")


def test_legacy_ranks_and_scores_as_the_published_code(published):
    """Its nDCG over its queries, ranked by the study's baseline."""
    config = published.manifest["config"]
    labels, gallery = published.input("labels"), published.input("gallery").astype(np.float32)
    F = published.output("orth_0").astype(np.float64)
    F /= np.linalg.norm(F, axis=0)
    kept = [CELEBA[index] for index in published.output("attr_indices")]
    column = kept.index(config["attr"])
    queries = legacy_queries(labels, column, config["value"], config["qsize"])
    wanted = np.full((len(queries), F.shape[1]), np.nan)
    wanted[:, column] = config["value"]
    extremes = published.output("amax"), published.output("amin")
    order = baselines.legacy(gallery, Task(queries, wanted), F, extremes)
    got = legacy_ndcg(labels, queries, order, config["topk"])
    assert published.check("nDCG", np.float64(got))[1]


def test_legacy_orders_are_the_publisheds_where_nothing_is_preferred(published):
    F = published.output("orth_0").astype(np.float64)
    F /= np.linalg.norm(F, axis=0)
    settings = np.flatnonzero((published.input("pq") == 1).all(axis=1))
    assert len(settings)
    task = Task(published.input("query_index")[settings], published.input("aq")[settings])
    extremes = published.output("amax"), published.output("amin")
    orders = baselines.legacy(published.input("gallery"), task, F, extremes)
    for setting, order in zip(settings, orders, strict=True):
        np.testing.assert_array_equal(order, published.output(f"ranking_{setting}"))


def test_rare_attributes_keep_the_basis_direction():
    random = np.random.default_rng(6)
    labels = random.choice([-1, 1], (400, 2)).astype(np.int8)
    labels[:, 1] = -1
    labels[:3, 1] = 1
    values = random.normal(size=(400, 6)).astype(np.float32)
    values[:, 0] += 3 * labels[:, 0]
    basis = replace(directions(np.eye(6, 2)), orthonormal=True)
    data = Labelled(Latent(values, "z", "toy@0"), Attributes(basis.names, labels))
    found = baselines._boundaries(data, basis)
    assert found.names == basis.names
    assert abs(found.vectors[0, 0]) > 0.9
    assert found.high[0] != basis.high[0]
    np.testing.assert_array_equal(found.vectors[:, 1], basis.vectors[:, 1])
    assert found.high[1] == basis.high[1]

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import BadInput, SpaceMismatch, UnknownName
from mien.search.distance import explain
from mien.search.exact import _candidates, search
from mien.search.gallery import Gallery
from mien.search.query import moves, wanted, weights
from mien.types import Query
from tests.search.toys import MARK, SPACE, basis, directions, gallery, latent

PRESENCE = st.sampled_from([0.0, 0.25, 1.0])
WEIGHT = st.sampled_from([0.0, 0.5, 3.0, 1e6, 1e12])


class Held:
    """What `search` asks of a gallery, without a folder."""

    folder = "a gallery"

    def __init__(self, values, ids):
        self.latent, self.ids = latent(values), ids
        self.paths = tuple(f"/photos/{name}" for name in ids)
        self.check_latent = lambda given: None
        self.bounds = lambda vectors: None
        self.places = {name: row for row, name in enumerate(ids)}

    projections = Gallery.projections
    _projections: dict = {}  # noqa: RUF012

    def __len__(self):
        return len(self.ids)

    def __contains__(self, name):
        return name in self.places

    def rows(self, rows):
        return self.latent.flat[rows]


def every_distance(values, query, named):
    """float64 [N], no candidates left out."""
    own = query.latent.flat[0]
    scores = own.astype(np.float64) @ named.vectors.astype(np.float64)
    move = moves(scores, wanted(query, named), named, query.semantics)
    return explain(values, own, named.vectors, move, weights(query, named))


@settings(deadline=None)
@given(
    seed=st.integers(0, 9999),
    faces=st.integers(1, 60),
    scale=st.sampled_from([1e-30, 1e-6, 1.0, 1e4, 1e25]),
    adjust=st.dictionaries(st.sampled_from(["A0", "A1"]), PRESENCE),
    prefer=st.dictionaries(st.sampled_from(["A0", "A1", "A2"]), WEIGHT),
    semantics=st.sampled_from(["set", "add", "legacy"]),
)
def test_the_nearest_are_those_of_comparing_all(seed, faces, scale, adjust, prefer, semantics):
    rng = np.random.default_rng(seed)
    values = (scale * rng.normal(size=(faces, 24))).astype(np.float32)
    values = values[rng.integers(0, faces, faces)]  # with copies, so that there are ties
    named = directions(basis(seed, 24, 3))
    ids = tuple(f"{number:03d}" for number in rng.permutation(faces))
    query = Query(latent(values[:1] + scale / 8), adjust, prefer, int(rng.integers(1, faces + 1)))
    query = replace(query, semantics=semantics)
    hits = search(Held(values, ids), query, named)
    distances = every_distance(values, query, named).distance
    expected = sorted(zip(distances, ids, strict=True))[: query.k]
    assert [hit.id for hit in hits] == [name for _, name in expected]
    np.testing.assert_allclose([hit.distance for hit in hits], [d for d, _ in expected])


@settings(deadline=None)
@given(seed=st.integers(0, 99), weight=WEIGHT)
def test_shares_of_a_hit_sum_to_its_distance(seed, weight):
    rng = np.random.default_rng(seed)
    named = directions(basis(seed, 24, 3))
    held = Held(rng.normal(size=(30, 24)), tuple(f"{number:02d}" for number in range(30)))
    query = Query(held.latent[:1], {"A1": 1.0}, {"A1": weight}, 5)
    for hit in search(held, query, named):
        assert tuple(hit.attributes) == named.names
        assert all(share >= 0 for share in (*hit.attributes.values(), hit.rest))
        assert hit.distance == pytest.approx(sum(hit.attributes.values()) + hit.rest, rel=1e-12)


def test_few_faces_are_compared_in_full():
    rng = np.random.default_rng(0)
    named = directions(basis(0, 64, 8))
    held = Held(rng.normal(size=(2000, 64)), tuple(map(str, range(2000))))
    query = Query(held.latent[:1], {"A1": 1.0}, {"A1": 3.0}, 10)
    from mien.search.exact import as_asked

    near = _candidates(held, named.vectors, as_asked(query, named), np.arange(2000), 10)
    assert 10 <= len(near) <= 20


@pytest.fixture
def stored(tmp_path):
    rng = np.random.default_rng(1)
    return gallery(tmp_path / "g", rng.normal(size=(20, 12)).astype(np.float32))


def test_the_query_finds_itself_first_unless_excluded(stored):
    named = directions(basis(1, 12, 3))
    query = Query(stored.latent[4:5], k=3)
    first = search(stored, query, named)[0]
    assert (first.id, first.path, first.distance) == ("face-0004", "/photos/face-0004", 0.0)
    others = search(stored, query, named, exclude=["face-0004"])
    assert others == search(stored, replace(query, k=4), named)[1:]


def test_an_adjusted_and_preferred_attribute_orders_the_hits(stored):
    named = directions(basis(1, 12, 3))
    query = Query(stored.latent[:1], {"A0": 1.0}, {"A0": 1e9}, 20)
    found = [hit.id for hit in search(stored, query, named)]
    gap = np.abs(stored.latent.flat @ named.vectors[:, 0] - named.high[0])
    assert found == [stored.ids[row] for row in np.argsort(gap)]


def test_a_weight_of_0_does_not_care(stored):
    named = directions(basis(1, 12, 12))
    query = Query(stored.latent[:1], {}, dict.fromkeys(named.names, 0.0), 20)
    hits = search(stored, query, named)
    assert max(hit.distance for hit in hits) < 1e-9  # a full basis leaves no rest
    assert all(share == 0 for hit in hits for share in hit.attributes.values())


@pytest.mark.parametrize("exclude", [[], ["face-0001"]])
def test_k_larger_than_the_gallery_is_refused(stored, exclude):
    named, left = directions(basis(1, 12, 3)), 20 - len(exclude)
    with pytest.raises(BadInput, match=f"k={left + 1} is more than the {left} faces"):
        search(stored, Query(stored.latent[:1], k=left + 1), named, exclude=exclude)


def test_an_empty_gallery_is_refused(tmp_path):
    empty = gallery(tmp_path / "g", np.empty((0, 12), np.float32))
    with pytest.raises(BadInput, match="g holds no faces; add some with mien gallery build"):
        search(empty, Query(latent(np.ones((1, 12))), k=1), directions(basis(1, 12, 3)))


def test_a_gallery_of_another_space_is_refused(tmp_path):
    other = Gallery.create(tmp_path / "g", "vae-64@0", SPACE, (12,))
    with pytest.raises(SpaceMismatch, match=rf"vae-64@0.*{MARK}.*build the gallery again"):
        search(other, Query(latent(np.ones((1, 12)))), directions(basis(1, 12, 3)))


def test_a_misspelt_attribute_is_refused(stored):
    with pytest.raises(UnknownName, match="did you mean"):
        search(stored, Query(stored.latent[:1], {"AO": 1}), directions(basis(1, 12, 3)))


def test_a_hit_is_plain_enough_for_json(stored):
    from dataclasses import asdict

    hits = search(stored, Query(stored.latent[:1], k=2), directions(basis(1, 12, 3)))
    assert json.loads(json.dumps([asdict(hit) for hit in hits]))[0]["id"] == "face-0000"


def test_another_basis_is_not_answered_from_the_first_ones_projections(stored):
    query = Query(stored.latent[:1], {"A0": 1.0}, k=20)
    for seed in (1, 2, 1):
        named = directions(basis(seed, 12, 3))
        found = [hit.distance for hit in search(stored, query, named)]
        expected = np.sort(every_distance(stored.latent.flat, query, named).distance)
        np.testing.assert_allclose(found, expected)

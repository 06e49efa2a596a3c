"""Search by codes against comparing every face, and the bounds against true distances."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import BadGallery, BadInput, UnknownName
from mien.search import exact
from mien.search.bounds import Asked, Bounds, place
from mien.search.codes import (
    PIECE,
    PRODUCT,
    CodeOptions,
    encode,
    fit_plan,
    pieces,
    products,
)
from mien.search.distance import explain
from mien.search.exact import Filter, as_asked, order_many, search, search_many
from mien.search.gallery import Gallery
from mien.search.pruned import _safe
from mien.types import Query
from tests.search.toys import MARK, SPACE, basis, directions, entries, gallery, latent

SMALL = CodeOptions(size=4 * (3 + 4) + 16 + 2 * (5 + 8), lead=4, block=5)  # 4 and twice 5 of 24
KINDS = {"int8": SMALL, "float16": replace(SMALL, kind="float16", size=SMALL.size + 10)}
PRESENCE = st.sampled_from([0.0, 0.25, 1.0])
WEIGHT = st.sampled_from([0.0, 0.5, 1.0, 3.0, 1e6, 1e12])
SCALE = st.sampled_from([1e-30, 1e-6, 1.0, 1e4, 1e25])


def draw(rng, faces, scale, decay, far=0.0):
    """Latents [faces, 24] with a decaying spectrum in a random frame; a third are copies."""
    turn = np.linalg.qr(rng.normal(size=(24, 24)))[0]
    values = (rng.normal(size=(faces, 24)) * decay ** np.arange(24)) @ turn + far
    copies = rng.integers(0, faces, faces // 3)
    values[rng.integers(0, faces, len(copies))] = values[copies]
    return (scale * values).astype(np.float32)


def all_distances(values, asked):
    return explain(values, asked.latent, asked.vectors, asked.move, asked.weights).distance


def asked_of(latent, vectors, move, weights):
    return Asked(latent, vectors, latent.astype(np.float64) @ vectors, move, weights)


class Compressed:
    """What `search` asks of a gallery with codes, without a folder; counts what is read."""

    folder = "a gallery"

    def __init__(self, values, ids, vectors, options):
        self.values, self.ids = values, ids
        self.places = {name: row for row, name in enumerate(ids)}
        self.paths = ids
        plan = fit_plan(values, vectors, options)
        self.own = Bounds(plan, encode(plan, values))
        self.read = 0

    def __len__(self):
        return len(self.ids)

    def __contains__(self, name):
        return name in self.places

    def check_latent(self, given):
        pass

    def bounds(self, vectors):
        return self.own

    def rows(self, rows):
        self.read += len(rows)
        return self.values[rows]


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 9999),
    faces=st.integers(1, 80),
    scale=SCALE,
    kind=st.sampled_from(sorted(KINDS)),
    adjust=st.dictionaries(st.sampled_from(["A0", "A1"]), PRESENCE),
    prefer=st.dictionaries(st.sampled_from(["A0", "A1", "A2"]), WEIGHT),
    data=st.data(),
)
def test_the_nearest_are_those_of_comparing_all(seed, faces, scale, kind, adjust, prefer, data):
    rng = np.random.default_rng(seed)
    values = draw(rng, faces, scale, data.draw(st.sampled_from([0.5, 0.9, 1.0])))
    if data.draw(st.booleans()):
        values = np.clip(values, -6e4, 6e4).astype(np.float16).astype(np.float32)
    named = directions(basis(seed, 24, 3))
    ids = tuple(f"{number:03d}" for number in rng.permutation(faces))
    left_out = ids[: data.draw(st.integers(0, faces - 1))]
    k = data.draw(st.sampled_from([1, faces - len(left_out)]))
    query = Query(
        latent(values[:1] + scale * data.draw(st.sampled_from([0, 0.125]))), adjust, prefer, k
    )
    semantics = data.draw(st.sampled_from(["set", "add", "legacy"]))
    queries = [replace(query, semantics=semantics), Query(latent(values[-1:]), k=1)]
    held = Compressed(values, ids, named.vectors, KINDS[kind])
    answers = search_many(held, queries, named, Filter(left_out))
    orders = order_many(held, queries, named, Filter(left_out))
    for asked, answer, order in zip(queries, answers, orders, strict=True):
        own = as_asked(asked, named)
        expected = sorted(zip(all_distances(values, own), ids, strict=True))
        expected = [pair for pair in expected if pair[1] not in left_out][: asked.k]
        assert [(hit.distance, hit.id) for hit in answer.hits] == expected
        assert order == [name for _, name in expected]
        assert asked.k <= answer.reads <= answer.faces == faces - len(left_out)


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 9999),
    scale=SCALE,
    kind=st.sampled_from(sorted(KINDS)),
    weights=st.lists(WEIGHT, min_size=3, max_size=3),
    decay=st.sampled_from([0.3, 0.7, 1.0]),
    far=st.sampled_from([0.0, 1e3]),
)
def test_every_stage_bounds_every_true_distance_from_below(seed, scale, kind, weights, decay, far):
    rng = np.random.default_rng(seed)
    values = draw(rng, 60, scale, decay, far)
    vectors = basis(seed, 24, 3)
    plan = fit_plan(values[:40], vectors, KINDS[kind])  # faces the plan has not seen, too
    bounds = Bounds(plan, encode(plan, values))
    move = scale * rng.normal(size=3) * rng.integers(0, 2, 3)
    off = np.float32(scale * rng.choice([0, 1e-3, 1]))
    asked = asked_of(values[rng.integers(60)] + off, vectors, move, np.array(weights))
    distance = all_distances(values, asked)
    for lower in stage_bounds(bounds, asked):
        assert (lower <= distance).all()


def stage_bounds(bounds, asked):
    """float64 [N], the bound as it stands after each stage."""
    (query,), rows = place(bounds.plan, [asked]), np.arange(len(bounds.codes))
    sofar = bounds.first([query])[0]
    for stage in range(len(bounds.plan.stages)):
        if stage:
            sofar = sofar + bounds.later(query, stage, rows)
        yield _safe(sofar + bounds.tail(query, stage, rows)).astype(np.float64)


@settings(deadline=None, max_examples=100)
@given(
    seed=st.integers(0, 9999),
    size=st.sampled_from([1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 3]),
    scale=st.sampled_from([1e-10, 1.0, 1e10]),
    far=st.sampled_from([0.0, 1e3]),
)
def test_products_in_pieces_are_off_by_no_more_than_is_said(seed, size, scale, far):
    rng = np.random.default_rng(seed)
    left = rng.normal(far, 1, (7, size))
    left /= np.linalg.norm(left, axis=1, keepdims=True)  # not float32: that is to be counted
    right = (scale * rng.normal(-far, 1, (5, size))).astype(np.float32)
    off = np.abs(products(pieces(left), pieces(right)) - left @ right.T.astype(np.float64))
    assert (off <= PRODUCT * np.linalg.norm(right.astype(np.float64), axis=1)).all()


@pytest.mark.parametrize("far", [0.0, 3.0, 1e4])  # of the mean: beside it float32 says little
def test_latents_of_several_pieces_are_ranked_as_by_comparing_all(far):
    rng = np.random.default_rng(5)
    values = (rng.normal(size=(300, 700)) * np.arange(1, 701) ** -0.7 + far).astype(np.float32)
    named = directions(np.linalg.qr(rng.normal(size=(700, 3)))[0])
    ids = tuple(f"{number:03d}" for number in rng.permutation(300))
    held = Compressed(values, ids, named.vectors, CodeOptions(size=300, lead=20, block=24))
    near = values[:3] + rng.normal(0, 0.3, (3, 700)).astype(np.float32)
    queries = [Query(latent(row[None]), {"A0": 1.0}, {"A1": 30.0}, 8) for row in near]
    for query, order in zip(queries, order_many(held, queries, named), strict=True):
        distance = all_distances(values, as_asked(query, named))
        assert order == [name for _, name in sorted(zip(distance, ids, strict=True))[:8]]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_bounds_are_sharp_enough_to_be_of_use(kind):
    rng = np.random.default_rng(0)
    values, vectors = draw(rng, 400, 1.0, 0.7), basis(0, 24, 3)
    plan = fit_plan(values, vectors, KINDS[kind])
    bounds = Bounds(plan, encode(plan, values))
    asked = asked_of(values[0] + np.float32(0.01), vectors, np.zeros(3), np.ones(3))
    *_, lower = stage_bounds(bounds, asked)
    assert np.median(lower / all_distances(values, asked)) > 0.9


def test_without_what_codes_miss_bounds_are_false_and_the_nearest_are_lost():
    """The proof that the tests above can fail: rounding must be in the bound."""
    rng = np.random.default_rng(3)
    values, vectors = draw(rng, 600, 1.0, 1.0), basis(3, 24, 3)
    plan = fit_plan(values, vectors, SMALL)
    plan = replace(plan, scales=plan.scales * 250)  # so coarse that most codes are 0
    codes = encode(plan, values)
    named, ids = directions(vectors), tuple(f"{row:03d}" for row in range(600))
    queries = [Query(latent(values[row : row + 1] + 0.2), k=5) for row in range(20)]
    distances = [all_distances(values, as_asked(query, named)) for query in queries]
    expected = [[ids[row] for row in np.argsort(one, kind="stable")[:5]] for one in distances]
    held = Compressed(values, ids, vectors, SMALL)
    for misses, right in ((codes.misses, True), (0 * codes.misses, False)):
        held.own = Bounds(plan, replace(codes, misses=misses))
        *_, lower = stage_bounds(held.own, as_asked(queries[0], named))
        assert (lower <= distances[0]).all() == right
        found = [[hit.id for hit in one.hits] for one in search_many(held, queries, named)]
        assert (found == expected) == right


def test_the_order_needs_no_second_comparison_unless_distances_nearly_tie(monkeypatch):
    rng = np.random.default_rng(0)
    values, vectors = draw(rng, 300, 1.0, 0.8), basis(0, 24, 3)
    values = np.unique(values, axis=0)
    named, ids = directions(vectors), tuple(f"{row:03d}" for row in range(len(values)))
    queries = [Query(latent(values[row : row + 1] + 0.1), k=7) for row in range(20)]
    held = Compressed(values, ids, vectors, SMALL)
    expected = [[hit.id for hit in one.hits] for one in search_many(held, queries, named)]
    again = []
    monkeypatch.setattr(exact, "nearest", lambda *given: again.append(given) or [])
    assert order_many(held, queries, named) == expected
    assert not again
    values[1] = values[0]
    twins = Compressed(values, ids, vectors, SMALL)
    order_many(twins, [Query(latent(values[:1]), k=1)], named)
    assert len(again) == 1


def test_few_faces_are_read_and_the_number_is_told():
    rng = np.random.default_rng(0)
    values, vectors = draw(rng, 3000, 1.0, 0.8), basis(0, 24, 3)
    held = Compressed(values, tuple(map(str, range(3000))), vectors, SMALL)
    query = Query(latent(values[:1]), {"A1": 1.0}, {"A1": 30.0}, 10)
    (answer,) = search_many(held, [query], directions(vectors))
    assert 10 <= answer.reads <= 60
    assert held.read <= answer.reads + 20  # the hits are read again for their shares


@pytest.fixture
def stored(tmp_path):
    made = gallery(tmp_path / "g", draw(np.random.default_rng(1), 1200, 1.0, 0.8))
    made.compress(basis(1, 24, 3), SMALL)
    return made


def codes_of(folder):
    return sorted(path.name for path in folder.glob("codes-*"))


def same(opened, named=None):
    """Codes and no codes answer alike."""
    named = named or directions(basis(1, 24, 3))
    query = Query(opened.latent[:1], {"A0": 1.0}, {"A0": 9.0}, 12)
    found = search_many(opened, [query], named)[0]
    opened._bounds = named.vectors, None
    plain = search_many(opened, [query], named)[0]
    assert found.hits == plain.hits
    assert found.reads < plain.reads == len(opened)


def test_a_gallery_with_codes_answers_as_without(stored):
    assert len(codes_of(stored.folder)) == 1 + 3
    same(Gallery.open(stored.folder))


def test_a_search_by_codes_loads_no_other_latents(stored):
    opened = Gallery.open(stored.folder)
    query = Query(latent(np.ones((1, 24))), k=3)
    search(opened, query, directions(basis(1, 24, 3)))
    assert "latent" not in vars(opened)


def test_codes_of_another_basis_are_not_used(stored):
    other = directions(basis(2, 24, 3))
    assert stored.bounds(other.vectors) is None
    stored.compress(other.vectors, SMALL)
    assert len(codes_of(stored.folder)) == 8
    same(stored, other)


@pytest.mark.parametrize("damage", ["missing", "torn", "flipped", "of another plan"])
def test_codes_that_cannot_be_used_are_made_again(stored, damage):
    path = sorted(stored.folder.glob("codes-*-shard-*"))[1]
    good = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "torn":
        path.write_bytes(good[:-30])
    elif damage == "flipped":
        path.write_bytes(good[:400] + bytes(byte ^ 255 for byte in good[400:500]) + good[500:])
    else:
        stored.compress(basis(1, 24, 3), replace(SMALL, lead=5))
        other = path.read_bytes()
        stored.compress(basis(1, 24, 3), SMALL)
        assert path.read_bytes() == good
        path.write_bytes(other)
    same(Gallery.open(stored.folder))
    Gallery.open(stored.folder).compress(basis(1, 24, 3), SMALL)
    assert path.read_bytes() == good


def test_added_faces_are_found_before_they_are_compressed(stored):
    values = np.full((2, 24), 0.5, np.float32)
    stored.add(entries(["new-a", "new-b"], values))
    opened = Gallery.open(stored.folder)
    same(opened)
    hits = search(opened, Query(latent(values[:1]), k=2), directions(basis(1, 24, 3)))
    assert [hit.id for hit in hits] == ["new-a", "new-b"]


def test_removed_faces_take_their_codes_with_them(stored):
    gone = next(path for path in stored.folder.glob("codes-*-shard-000001.npz"))
    lead = np.load(gone)["lead"][:, 0]
    stored.remove([stored.ids[0]])
    assert not gone.exists()
    assert lead.tobytes() not in b"".join(p.read_bytes() for p in stored.folder.iterdir())
    same(stored)
    stored.remove(stored.ids)
    assert codes_of(stored.folder) == []


def test_what_a_dead_compress_left_over_is_swept(stored):
    left = stored.folder / f".{codes_of(stored.folder)[1]}.a1b2"
    left.write_bytes(b"half a file")
    stored.remove(["face-0000"])
    assert not left.exists()


def test_float16_latents_are_searched_as_they_lie_on_the_disk(tmp_path):
    made = Gallery.create(tmp_path / "g", MARK, SPACE, (24,), half=True)
    values = draw(np.random.default_rng(5), 300, 1.0, 0.8)
    made.add(entries([f"{row:03d}" for row in range(300)], values))
    made.compress(basis(1, 24, 3), SMALL)
    opened = Gallery.open(made.folder)
    assert opened.rows(np.array([7, 2])).dtype == np.float16
    np.testing.assert_array_equal(opened.latent.values, values.astype(np.float16))
    same(opened)


def test_latents_too_large_for_float16_are_refused(tmp_path):
    made = Gallery.create(tmp_path / "g", MARK, SPACE, (2,), half=True)
    with pytest.raises(BadInput, match="too large for float16; store this gallery as float32"):
        made.add(entries(["a"], np.full((1, 2), 1e5, np.float32)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_in_a_gallery_is_refused(bad):
    values = draw(np.random.default_rng(0), 40, 1.0, 0.8)
    named, ids = directions(basis(0, 24, 3)), tuple(f"{row:02d}" for row in range(40))
    held = Compressed(values.copy(), ids, named.vectors, SMALL)
    held.values[:] = bad
    with pytest.raises(BadInput, match="gallery holds NaN or infinite values"):
        search(held, Query(latent(values[:1]), k=3), named)
    with pytest.raises(BadInput, match="NaN or infinite"):
        encode(held.own.plan, held.values)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("coded", [True, False])
def test_a_latent_that_is_no_number_any_more_is_named_by_a_search(tmp_path, half, coded):
    values = draw(np.random.default_rng(0), 40, 1.0, 0.8)
    named = directions(basis(0, 24, 3))
    made = Gallery.create(tmp_path / "g", MARK, SPACE, (24,), half)
    made.add(entries([f"{row:02d}" for row in range(40)], values))
    made.compress(named.vectors, SMALL)
    (shard,) = made.folder.glob("shard-*")
    with np.load(shard) as file:
        arrays = dict(file)
    arrays["latents"][7, 3] = np.nan
    np.savez(shard, **arrays)
    if not coded:
        (codes,) = made.folder.glob("codes-*-shard-*")
        codes.unlink()
    query = Query(latent(values[7:8]), k=3)
    with pytest.raises(BadGallery, match=r"shard-000001.npz is damaged \(the latent of '07'"):
        search(Gallery.open(made.folder), query, named)


def test_filters_by_id_and_attribute(tmp_path):
    rng = np.random.default_rng(2)
    values, table = draw(rng, 60, 1.0, 0.8), rng.integers(-1, 2, (60, 2)).astype(np.int8)
    made = Gallery.create(tmp_path / "g", MARK, SPACE, (24,))
    ids = [f"{row:02d}" for row in range(60)]
    made.add(entries(ids, values, table))
    named = directions(basis(1, 24, 3))
    made.compress(named.vectors, SMALL)
    among = Filter(exclude=["05"], ids=ids[:40], known={"A0": True, "A1": False})
    wanted = [row for row in range(40) if row != 5 and tuple(table[row]) == (1, -1)]
    query = Query(latent(values[5:6]), k=len(wanted))
    (answer,) = search_many(made, [query], named, among)
    distance = all_distances(values[wanted], as_asked(query, named))
    assert [hit.id for hit in answer.hits] == [ids[wanted[i]] for i in np.argsort(distance)]
    assert answer.faces == len(wanted)
    with pytest.raises(UnknownName, match="unknown face 'nobody'"):
        search_many(made, [query], named, Filter(ids=["nobody"]))
    with pytest.raises(UnknownName, match="unknown attribute 'A7'"):
        search_many(made, [query], named, Filter(known={"A7": True}))
    with pytest.raises(BadInput, match=r"k=2 is more than the 1 faces"):
        search_many(made, [replace(query, k=2)], named, Filter(ids=["00"]))


def test_an_unknown_kind_and_too_few_bytes_are_refused():
    values, vectors = np.ones((8, 24), np.float32), basis(1, 24, 3)
    with pytest.raises(UnknownName, match="did you mean int8"):
        fit_plan(values, vectors, CodeOptions(kind="int9"))
    with pytest.raises(BadInput, match="40 bytes a face have no room for 3 scores"):
        fit_plan(values, vectors, CodeOptions(size=40))


def test_an_empty_gallery_has_nothing_to_compress(tmp_path):
    made = Gallery.create(tmp_path / "g", MARK, SPACE, (24,))
    with pytest.raises(BadInput, match="no faces to compress; add some first"):
        made.compress(basis(1, 24, 3))

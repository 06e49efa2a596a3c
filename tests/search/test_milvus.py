"""Every store answers what the exact one answers."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mien.errors import BadGallery, BadInput, MissingExtra, SpaceMismatch, UnknownName
from mien.search import exact
from mien.search.codes import CodeOptions
from mien.search.exact import Filter
from mien.search.forget import forget
from mien.search.gallery import Gallery
from mien.search.indexing import build_index, drop_index, stored_vectors
from mien.search.milvus import MilvusIndex
from mien.types import Query
from tests.search.toys import basis, directions, entries, gallery, latent

pymilvus = pytest.importorskip("pymilvus")
pytest.importorskip("milvus_lite")


FACES, SIZE, NAMES = 700, 24, 4
RANDOM = np.random.default_rng(0)
ROWS = (RANDOM.normal(size=(FACES, SIZE)) @ RANDOM.normal(size=(SIZE, SIZE)) + 5).astype(np.float32)
TABLE = RANDOM.integers(-1, 2, (FACES, NAMES)).astype(np.int8)
IDS = [f"face-{row:04d}" for row in range(FACES)]
ALONG = directions(basis(1, SIZE, NAMES))


def stored(folder) -> Gallery:
    made = gallery(folder, ROWS[:0])
    rows = ROWS.copy()
    rows[300:310] = rows[20]  # ties
    made.add(entries(IDS, rows, TABLE))
    return made


@pytest.fixture(scope="module", params=["exact", "codes", "FLAT", "HNSW"])
def store(request, tmp_path_factory):
    """(gallery, its search_many by one of the stores)."""
    folder = tmp_path_factory.mktemp(request.param)
    made = stored(folder / "g")
    if request.param == "codes":
        made.compress(ALONG.vectors, CodeOptions(size=100, lead=4, block=8))
    if request.param in ("FLAT", "HNSW"):
        build_index(made, ALONG, str(folder / "g.db"), request.param)
        return made, MilvusIndex.open(made).search_many
    return made, lambda *arguments: exact.search_many(made, *arguments)


def asked(row: int, **wishes) -> Query:
    return Query(latent(ROWS[row : row + 1]), **wishes)


QUERIES = {
    "plain": asked(3, k=10),
    "ties": asked(20, k=5),
    "one": asked(9, k=1),
    "adjusted": asked(4, adjust={"A1": 1.0}, prefer={"A1": 30.0}, k=20),
    "added": asked(5, adjust={"A0": 0.0, "A2": 0.7}, semantics="add", k=10),
    "indifferent": asked(6, prefer={"A0": 0.0, "A1": 0.0, "A2": 0.0, "A3": 0.0}, k=10),
    "heavy": asked(7, prefer={"A3": 1e9}, k=10),
    "far": Query(latent(ROWS[8:9] * 100), k=10),
    "all": asked(10, k=FACES),
}
FILTERS = {
    "none": Filter(),
    "exclude": Filter(exclude=[IDS[3], IDS[20], "gone"]),
    "ids": Filter(ids=IDS[::2]),
    "few": Filter(ids=IDS[:12]),
    "known": Filter(known={"A0": True}),
    "both": Filter(known={"A0": True, "A1": False}, exclude=[IDS[3]]),
}


@cache
def naive(name: str, filtered: str) -> list[tuple[float, str]]:
    """All distances by the formula, in float64, one face at a time."""
    query, among = QUERIES[name], FILTERS[filtered]
    rows = ROWS.astype(np.float64)
    rows[300:310] = rows[20]
    own, vectors = query.latent.values[0].astype(np.float64), ALONG.vectors.astype(np.float64)
    weight = np.array([query.prefer.get(f"A{column}", 1.0) for column in range(NAMES)])
    alpha = np.zeros(NAMES)
    for attribute, presence in query.adjust.items():
        at = int(attribute[1:])
        low, high = ALONG.low[at], ALONG.high[at]
        wanted = low + presence * (high - low) - own @ vectors[:, at]
        alpha[at] = wanted if query.semantics == "set" else (presence - 0.5) * (high - low)
    found = []
    for row, face in enumerate(rows):
        known = {f"A{column}": TABLE[row, column] for column in range(NAMES)}
        fits = all(known[name] == (1 if there else -1) for name, there in among.known.items())
        if not fits or IDS[row] in among.exclude or (among.ids and IDS[row] not in among.ids):
            continue
        along = vectors.T @ (own - face)
        rest = (own - face) - vectors @ along
        found.append((float(weight @ (along + alpha) ** 2 + rest @ rest), IDS[row]))
    return sorted(found)


@pytest.mark.parametrize("name", QUERIES)
def test_each_store_answers_what_the_exact_one_answers(store, name):
    made, search_many = store
    for filtered, among in FILTERS.items():
        chosen = naive(name, filtered)
        query = replace(QUERIES[name], k=min(QUERIES[name].k, len(chosen)))
        [answer] = search_many([query], ALONG, among)
        [truth] = exact.search_many(made, [query], ALONG, among)
        assert answer.hits == truth.hits
        assert answer.faces == len(chosen)
        distances = [hit.distance for hit in answer.hits]
        wanted = [distance for distance, _ in chosen[: query.k]]
        np.testing.assert_allclose(distances, wanted, rtol=1e-5, atol=1e-3)


def test_many_queries_are_answered_like_one_by_one(store):
    made, search_many = store
    queries = [query for query in QUERIES.values() if query.k < FACES]
    answers = [answer.hits for answer in search_many(queries, ALONG, Filter())]
    assert answers == [exact.search(made, query, ALONG) for query in queries]
    assert search_many([], ALONG, Filter()) == []


@pytest.fixture
def indexed(tmp_path):
    made = stored(tmp_path / "g")
    card = build_index(made, ALONG, str(tmp_path / "g.db"), "FLAT")
    return made, card


def forbidden(*_):
    raise AssertionError("the exact store was asked")


def test_the_index_answers_by_itself_and_reads_few(indexed, monkeypatch):
    made, card = indexed
    index = MilvusIndex.open(made)
    monkeypatch.setattr(exact, "search_many", forbidden)
    answers = index.search_many([QUERIES["plain"], QUERIES["adjusted"]], ALONG)
    assert max(answer.reads for answer in answers) < FACES / 4
    assert card.recall == {"plain": 1.0, "adjusted": 1.0}
    assert made.info().index == replace(card, centre=())


def test_where_the_index_cannot_be_sure_the_exact_store_is_asked(indexed, monkeypatch):
    """Eleven faces are equal: of the eight that Milvus may give, others could come first by id."""
    index, query = MilvusIndex.open(indexed[0]), QUERIES["ties"]
    monkeypatch.setattr("mien.search.milvus.MOST", 8)
    assert index.search_many([query], ALONG)[0].hits == exact.search(indexed[0], query, ALONG)
    monkeypatch.setattr(exact, "search_many", forbidden)
    with pytest.raises(AssertionError, match="the exact store was asked"):
        index.search_many([query], ALONG)


def test_faces_added_and_removed_since_are_seen(indexed):
    made, _ = indexed
    near = entries(["near"], ROWS[3:4] + 1e-3)
    made.add(near)
    made.remove([exact.search(made, QUERIES["plain"], ALONG)[2].id])
    index = MilvusIndex.open(Gallery.open(made.folder))
    [answer] = index.search_many([QUERIES["plain"]], ALONG)
    assert answer.hits == exact.search(made, QUERIES["plain"], ALONG)
    assert "near" in [hit.id for hit in answer.hits]


def test_an_index_is_built_again_in_place_of_the_one_before(indexed, tmp_path):
    made, first = indexed
    again = build_index(made, ALONG, first.uri, "HNSW")
    assert (again.kind, again.owner) == ("HNSW", first.owner)
    assert again.collection != first.collection
    client = pymilvus.MilvusClient(first.uri)
    assert client.list_collections() == [again.collection]
    moved = build_index(made, ALONG, str(tmp_path / "other.db"))
    assert client.list_collections() == []
    assert MilvusIndex.open(made).search_many([QUERIES["one"]], ALONG)
    drop_index(made.folder)
    assert pymilvus.MilvusClient(moved.uri).list_collections() == []
    with pytest.raises(BadInput, match="has no index; make one with mien gallery index"):
        MilvusIndex.open(made)


def test_a_build_that_died_leaves_the_index_before_and_nothing_for_long(indexed, monkeypatch):
    made, first = indexed
    with monkeypatch.context() as patch:
        patch.setattr("mien.search.indexing.measure", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build_index(made, ALONG, first.uri, "FLAT")
    assert MilvusIndex.open(made).card == first
    last = build_index(made, ALONG, first.uri, "FLAT")
    assert pymilvus.MilvusClient(first.uri).list_collections() == [last.collection]


def test_a_forgotten_face_leaves_the_index_too(indexed):
    made, card = indexed
    [(_, vector)] = stored_vectors(made, [IDS[5]])
    on_disk = b"".join(p.read_bytes() for p in Path(card.uri).rglob("*") if p.is_file())
    assert vector[-SIZE - 1 : -1].tobytes() in on_disk
    done = forget(made, [IDS[5]])
    on_disk = b"".join(p.read_bytes() for p in Path(card.uri).rglob("*") if p.is_file())
    assert vector[-SIZE - 1 : -1].tobytes() not in on_disk
    assert done.proven
    assert done.dropped == card.uri
    build_index(made, ALONG, card.uri)
    assert len(MilvusIndex.open(made).search_many([asked(5, k=3)], ALONG)[0].hits) == 3


def test_a_store_that_keeps_a_face_is_told(indexed, monkeypatch):
    made, card = indexed
    monkeypatch.setattr("mien.search.forget.drop_index", lambda folder: None)
    left = forget(made, [IDS[5]]).searched.left
    assert {(trace.face, trace.what) for trace in left} == {(IDS[5], "code")}
    assert all(trace.file.startswith(card.uri) for trace in left)


def test_the_same_code_asks_a_server(tmp_path):
    server = pytest.importorskip("milvus_lite.adapter.grpc.server")
    running, database, port = server.start_server_in_thread(str(tmp_path / "served"))
    try:
        made = stored(tmp_path / "g")
        card = build_index(made, ALONG, f"http://127.0.0.1:{port}")
        [answer] = MilvusIndex.open(made).search_many([QUERIES["adjusted"]], ALONG)
        assert answer.hits == exact.search(made, QUERIES["adjusted"], ALONG)
        assert card.recall["adjusted"] == 1.0
        assert forget(made, [IDS[1]]).proven
    finally:
        running.stop(grace=None)
        database.close()
    with pytest.raises(BadInput, match=rf"http://127.0.0.1:{port} cannot be used"):
        build_index(made, ALONG, f"http://127.0.0.1:{port}")


def test_without_pymilvus_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(MissingExtra, match=r"pip install 'mien\[milvus\]'"):
        build_index(gallery(tmp_path / "g", ROWS[:5]), ALONG, str(tmp_path / "g.db"))


def test_a_file_that_is_no_store_is_refused_and_kept(tmp_path, capfd):
    made = gallery(tmp_path / "g", ROWS[:20])
    precious = tmp_path / "precious.db"
    precious.write_text("precious")
    with pytest.raises(BadInput, match=r"precious.db is a file and no Milvus store; give --uri"):
        build_index(made, ALONG, str(precious))
    assert precious.read_text() == "precious"
    assert capfd.readouterr() == ("", "")


def test_refuses(indexed, tmp_path):
    made, card = indexed
    other = directions(basis(2, SIZE, NAMES))
    with pytest.raises(BadInput, match="along another basis; run mien gallery index"):
        MilvusIndex.open(made).search_many([QUERIES["plain"]], other)
    with pytest.raises(UnknownName, match="kind of index 'IVF'"):
        build_index(made, ALONG, card.uri, "IVF")
    with pytest.raises(SpaceMismatch):
        build_index(made, replace(ALONG, model="other@2"), card.uri)
    with pytest.raises(BadInput, match="no faces to index"):
        build_index(gallery(tmp_path / "empty", ROWS[:0]), ALONG, card.uri)
    pymilvus.MilvusClient(card.uri).drop_collection(card.collection)
    with pytest.raises(BadInput, match=r"no longer holds the index"):
        MilvusIndex.open(made)
    (made.folder / "index.json").write_text("{")
    with pytest.raises(BadGallery, match=r"index.json is damaged"):
        made.info()

"""A gallery's index in Milvus: embedded in a file, or on a cluster, by the same code.

The gallery's folder stays the source of truth. Milvus holds a lifted vector a
face (`mien.search.lift`), a number that names its shard and row, and its known
attributes; no id, path or picture. A search asks it for more than k, filtered
there, and compares these in full with the exact store's arithmetic. It asks
again for more until float32 can have hidden no nearer face, and where that
cannot be known the exact store answers. What is left to chance is what a graph
index ("HNSW") overlooks: its recall is measured when it is built. "FLAT"
overlooks nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.errors import BadInput
from mien.search import exact
from mien.search._index_card import IndexCard, read_card
from mien.search._milvus_client import connect, digest, numbers, said
from mien.search.bounds import Asked
from mien.search.exact import Answer, Filter
from mien.search.gallery import Gallery
from mien.search.lift import Lift
from mien.types import Directions, Query

MOST = 16_384  # hits of a search: Milvus's limit
TOGETHER = 32  # queries of a call
SPARSE = 0.1  # part of the faces below which a filter starves a graph: the exact store answers


@dataclass(frozen=True)
class _Wanted:
    """What the store filters by; rows that it does not hold; faces to choose from."""

    expression: str
    fresh: np.ndarray
    count: int


@dataclass(frozen=True)
class _Asked:
    """A query, along the basis, and lifted (see `Lift.query`)."""

    query: Query
    asked: Asked
    vector: np.ndarray
    constant: float
    slack: float


@dataclass(frozen=True)
class _Found:
    """rows: of the gallery. last: the least inner product of `count`, infinite if fewer came."""

    rows: np.ndarray
    last: float
    count: int


class MilvusIndex:
    """The index of a gallery as last built; `open` it."""

    def __init__(self, gallery: Gallery, card: IndexCard) -> None:
        self.gallery, self.card = gallery, card
        self._client = connect(card.uri)
        self._numbers = np.concatenate([np.empty(0, np.int64), *map(numbers, gallery.shards)])
        self._order = np.argsort(self._numbers)
        fresh = [shard.path.name not in card.shards for shard in gallery.shards]
        self._fresh = np.repeat(fresh, [len(shard) for shard in gallery.shards])

    @classmethod
    def open(cls, gallery: Gallery) -> MilvusIndex:
        """BadInput when the gallery has none or its store cannot be reached."""
        card = read_card(gallery.folder)
        if card is None or not card.collection:
            raise BadInput(f"{gallery.folder} has no index; make one with mien gallery index")
        index = cls(gallery, card)
        with said(card.uri):
            if not index._client.has_collection(card.collection):
                raise BadInput(
                    f"{card.uri} no longer holds the index of {gallery.folder}; "
                    "make it again with mien gallery index"
                )
            index._client.load_collection(card.collection)
        return index

    def search_many(
        self, queries: Sequence[Query], directions: Directions, among: Filter | None = None
    ) -> list[Answer]:
        """As `exact.search_many`; `Answer.reads` counts the faces compared in full.

        Faces added since the index was built are all compared. Raises BadInput
        for directions that it was not built along.
        """
        if not queries:
            return []
        rows, count = exact.check_search(self.gallery, queries, directions, among)
        if digest(directions.vectors) != self.card.basis:
            raise BadInput(
                f"the index of {self.gallery.folder} is along another basis; "
                "run mien gallery index with this one"
            )
        starved = self.card.kind != "FLAT" and count < SPARSE * len(self.gallery)
        if starved and rows is not None:
            return exact.search_many(self.gallery, queries, directions, among)
        lift = Lift(
            np.array(self.card.centre), directions.double, self.card.scales, self.card.radius
        )
        wanted = _Wanted(self._expression(among or Filter()), self._fresh_rows(rows), count)
        asked = [_lifted(query, directions, lift) for query in queries]
        return [
            self._answer(one, directions, wanted, first)
            or exact.search_many(self.gallery, [one.query], directions, among)[0]
            for one, first in zip(asked, self._firsts(asked, wanted), strict=True)
        ]

    def _firsts(self, asked: Sequence[_Asked], wanted: _Wanted) -> list[_Found | None]:
        """What each query gets at first, many in a call; None where float32 overflows."""
        found: dict[int, _Found] = {}
        usable = [at for at, one in enumerate(asked) if np.isfinite([*one.vector, one.slack]).all()]
        count = min(MOST, max(max(4 * one.query.k, one.query.k + 64) for one in asked))
        for start in range(0, len(usable), TOGETHER):
            part = usable[start : start + TOGETHER]
            vectors = [asked[at].vector for at in part]
            found.update(zip(part, self._ask(vectors, count, wanted.expression), strict=True))
        return [found.get(at) for at in range(len(asked))]

    def _answer(
        self, one: _Asked, directions: Directions, wanted: _Wanted, found: _Found | None
    ) -> Answer | None:
        """None where the index cannot be sure."""
        k = one.query.k
        while found is not None:
            rows = np.union1d(found.rows, wanted.fresh)
            if len(rows) >= k:
                hits = exact.nearest(self.gallery, rows, one.asked, directions, k)
                beyond = one.constant - found.last - one.slack > hits[-1].distance
                if len(rows) == wanted.count or beyond:
                    return Answer(hits, len(rows), wanted.count)
            if found.last == np.inf or found.count == MOST:  # the index has no more to give
                break
            more = min(4 * found.count, MOST)
            [found] = self._ask([one.vector], more, wanted.expression)
        return None

    def _ask(self, vectors: list[np.ndarray], count: int, expression: str) -> list[_Found]:
        with said(self.card.uri):
            answers = self._client.search(
                self.card.collection, data=vectors, filter=expression, limit=count,
                search_params={"params": {"ef": max(512, 2 * count)}},
                consistency_level="Strong",
            )  # fmt: skip
        return [self._found(hits, count) for hits in answers]

    def _found(self, hits: Sequence[Any], count: int) -> _Found:
        last = float(hits[-1]["distance"]) if len(hits) == count else np.inf
        found = np.array([hit["number"] for hit in hits], np.int64)
        places = np.searchsorted(self._numbers, found, sorter=self._order)
        rows = self._order[np.minimum(places, len(self._order) - 1)]
        # faces removed since are left out
        return _Found(rows[self._numbers[rows] == found], last, count)

    def _fresh_rows(self, rows: np.ndarray | None) -> np.ndarray:
        fresh: np.ndarray = np.flatnonzero(self._fresh)
        return fresh if rows is None else np.intersect1d(fresh, rows)

    def _expression(self, among: Filter) -> str:
        """What the store filters by; ids as the numbers of their faces."""
        parts = [
            f"known[{json.dumps(name, ensure_ascii=False)}] == {1 if present else -1}"
            for name, present in among.known.items()
        ]
        for names, word in ((among.ids, "in"), (among.exclude or None, "not in")):
            if names is not None:
                here = [self.gallery.places[name] for name in names if name in self.gallery]
                parts.append(f"number {word} {self._numbers[here].tolist()}" if here else "")
        return " and ".join(part for part in parts if part)


def _lifted(query: Query, directions: Directions, lift: Lift) -> _Asked:
    asked = exact.as_asked(query, directions)
    return _Asked(query, asked, *lift.query(asked))

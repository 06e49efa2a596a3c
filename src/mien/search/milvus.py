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

import numpy as np

from mien.errors import BadInput
from mien.search import exact
from mien.search._index_card import IndexCard, read_card
from mien.search._milvus_client import connect, digest, numbers, said
from mien.search.exact import Answer, Filter
from mien.search.gallery import Gallery
from mien.search.lift import Lift
from mien.types import Directions, Query

MOST = 16_384  # hits of a search: Milvus's limit
SPARSE = 0.1  # part of the faces below which a filter starves a graph: the exact store answers


@dataclass(frozen=True)
class _Wanted:
    """What the store filters by; rows that it does not hold; faces to choose from."""

    expression: str
    fresh: np.ndarray
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
        return [
            self._answer(query, directions, lift, wanted)
            or exact.search_many(self.gallery, [query], directions, among)[0]
            for query in queries
        ]

    def _answer(
        self, query: Query, directions: Directions, lift: Lift, wanted: _Wanted
    ) -> Answer | None:
        """None where the index cannot be sure."""
        asked = exact.as_asked(query, directions)
        vector, constant, slack = lift.query(asked)
        count = max(4 * query.k, query.k + 64)
        while np.isfinite(vector).all() and np.isfinite(slack):
            count = min(count, MOST)
            found, last = self._ask(vector, count, wanted.expression)
            rows = np.union1d(found, wanted.fresh)
            if len(rows) >= query.k:
                hits = exact.nearest(self.gallery, rows, asked, directions, query.k)
                if len(rows) == wanted.count or constant - last - slack > hits[-1].distance:
                    return Answer(hits, len(rows), wanted.count)
            if last == np.inf or count == MOST:  # the index has no more to give
                break
            count *= 4
        return None

    def _ask(self, vector: np.ndarray, count: int, expression: str) -> tuple[np.ndarray, float]:
        """(rows of the gallery, the least inner product; infinite when there were fewer)."""
        with said(self.card.uri):
            [hits] = self._client.search(
                self.card.collection, data=[vector], filter=expression, limit=count,
                search_params={"params": {"ef": max(512, 2 * count)}},
                consistency_level="Strong",
            )  # fmt: skip
        last = float(hits[-1]["distance"]) if len(hits) == count else np.inf
        found = np.array([hit["number"] for hit in hits], np.int64)
        places = np.searchsorted(self._numbers, found, sorter=self._order)
        rows = self._order[np.minimum(places, len(self._order) - 1)]
        return rows[self._numbers[rows] == found], last  # faces removed since are left out

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

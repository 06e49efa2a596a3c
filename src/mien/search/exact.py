"""The exact top k: bounds first, then the candidates in full.

Where the gallery has codes (`Gallery.compress`), bounds come from them and few
latents are read. Else a scan reads all latents once in float32 and knows how
far it can be off. Only faces that could be among the nearest k are compared in
float64; the answer is that of comparing all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mien.errors import BadInput, UnknownName
from mien.search.bounds import Asked
from mien.search.distance import Explained, explain
from mien.search.gallery import Gallery
from mien.search.pruned import Proof, prove
from mien.search.query import check_query, moves, wanted, weights
from mien.types import Directions, Hit, Query


@dataclass(frozen=True)
class Answer:
    """hits: nearest first. reads: latents read in full; faces: that were chosen from."""

    hits: list[Hit]
    reads: int
    faces: int


@dataclass(frozen=True)
class Filter:
    """Which faces may be hits.

    exclude: ids to leave out, such as the query's own; ids: only these, when
    given. known: attribute -> present (True) or absent (False); faces of which
    it is unknown are left out.
    """

    exclude: Collection[str] = ()
    ids: Collection[str] | None = None
    known: Mapping[str, bool] = field(default_factory=dict)


def search(
    gallery: Gallery, query: Query, directions: Directions, *, exclude: Collection[str] = ()
) -> list[Hit]:
    """The k nearest faces, nearest first, each with the shares its distance is made of.

    Ties are broken by id. exclude: ids to leave out, such as the query's own.
    Raises what `check_query` raises, SpaceMismatch for a gallery of another
    space, and BadInput when k is more than the faces there are.
    """
    return search_many(gallery, [query], directions, Filter(exclude))[0].hits


def search_many(
    gallery: Gallery, queries: Sequence[Query], directions: Directions, among: Filter | None = None
) -> list[Answer]:
    """`search` for many queries: their bounds are one matrix product.

    among: the faces to choose from, all by default. Raises what `search`
    raises, and UnknownName for an id or an attribute the gallery does not have.
    """
    if not queries:
        return []
    rows, count = check_search(gallery, queries, directions, among)
    asked = [as_asked(query, directions) for query in queries]
    proofs = _proofs(gallery, directions.vectors, asked, rows, [query.k for query in queries])
    return [
        Answer(nearest(gallery, proof.near, one, directions, query.k), proof.reads, count)
        for query, one, proof in zip(queries, asked, proofs, strict=True)
    ]


def order_many(
    gallery: Gallery, queries: Sequence[Query], directions: Directions, among: Filter | None = None
) -> list[list[str]]:
    """Ids of the k nearest, nearest first: the order of `search_many` without the shares.

    Codes mostly tell the order of what was read, so hits are not compared again;
    where they do not, hits are. Raises what `search_many` raises.
    """
    if not queries:
        return []
    rows, _ = check_search(gallery, queries, directions, among)
    asked = [as_asked(query, directions) for query in queries]
    proofs = _proofs(gallery, directions.vectors, asked, rows, [query.k for query in queries])
    found = []
    for query, one, proof in zip(queries, asked, proofs, strict=True):
        order = proof.order(query.k)
        if order is None:
            hits = nearest(gallery, proof.near, one, directions, query.k)
            found.append([hit.id for hit in hits])
        else:
            found.append([gallery.ids[row] for row in order])
    return found


def check_search(
    gallery: Gallery, queries: Sequence[Query], directions: Directions, among: Filter | None
) -> tuple[np.ndarray | None, int]:
    """(rows of the faces that may be hits, None = all; how many these are).

    Raises what `search_many` raises.
    """
    for query in queries:
        check_query(query, directions)
        gallery.check_latent(query.latent)
    if not len(gallery):
        raise BadInput(f"{gallery.folder} holds no faces; add some with mien gallery build")
    rows = _eligible(gallery, among or Filter())
    count = len(gallery) if rows is None else len(rows)
    most = max(query.k for query in queries)
    if most > count:
        raise BadInput(
            f"k={most} is more than the {count} faces of {gallery.folder}; ask for fewer"
        )
    return rows, count


def _proofs(
    gallery: Gallery, vectors: np.ndarray, asked: Sequence[Asked], rows: np.ndarray | None,
    k: Sequence[int],
) -> list[Proof]:  # fmt: skip
    bounds = gallery.bounds(vectors)
    if bounds is not None:
        return prove(bounds, gallery.rows, asked, rows, k)
    every = np.arange(len(gallery)) if rows is None else rows
    return [
        Proof(_candidates(gallery, vectors, one, every, count), len(gallery))
        for one, count in zip(asked, k, strict=True)
    ]


def as_asked(query: Query, directions: Directions) -> Asked:
    """A query as its latent, the basis, its move along it, and its weights."""
    latent = query.latent.flat[0]
    scores = latent.astype(np.float64) @ directions.double
    move = moves(scores, wanted(query, directions), directions, query.semantics)
    return Asked(latent, directions.double, scores, move, weights(query, directions))


def _eligible(gallery: Gallery, among: Filter) -> np.ndarray | None:
    """Rows of the faces that may be hits; None = all."""
    if not (among.exclude or among.ids is not None or among.known):
        return None
    kept = np.full(len(gallery), among.ids is None)
    for name in among.ids or ():
        if name not in gallery:
            raise UnknownName("face", name, gallery.ids)
        kept[gallery.places[name]] = True
    for name, present in among.known.items():
        kept &= gallery.attributes.column(name) == (1 if present else -1)
    for name in among.exclude:
        if name in gallery:
            kept[gallery.places[name]] = False
    return np.flatnonzero(kept)


def _candidates(
    gallery: Gallery, vectors: np.ndarray, asked: Asked, rows: np.ndarray, k: int
) -> np.ndarray:
    """Rows that may be among the k nearest: lower bound <= k-th smallest upper bound."""
    distance, slack = _scan(gallery, vectors, asked)
    upper = (distance + slack)[rows]
    reach = np.partition(upper, k - 1)[k - 1]
    near: np.ndarray = rows[(distance - slack)[rows] <= reach]
    return near


def _scan(gallery: Gallery, vectors: np.ndarray, asked: Asked) -> tuple[np.ndarray, np.ndarray]:
    """(distance [N], slack [N]): the true distance is within distance +- slack.

    With r the part outside the basis, |r_q - r|^2 = |r_q|^2 + |r|^2 - 2 r_q'r and
    r_q'r = r_q'w - (F'r_q)'s; only r_q'w is computed in float32.
    """
    scores, rest = gallery.projections(vectors)
    basis = asked.vectors
    own = asked.scores
    residual = asked.latent - basis @ own
    with np.errstate(over="ignore", invalid="ignore"):
        single = gallery.latent.flat @ residual.astype(np.float32)
        cross = single.astype(np.float64) - scores @ (residual @ basis)
        gap = own - scores + asked.move
        distance = gap**2 @ asked.weights + rest + residual @ residual - 2 * cross
        slack = _slack(asked, np.sqrt(rest + (scores**2).sum(axis=1)), gap)
    safe = np.isfinite(distance) & np.isfinite(slack)
    return np.where(safe, distance, 0.0), np.where(safe, slack, np.inf)


def _slack(asked: Asked, length: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """How far rounding can put a scanned distance off, [N]; length: |w| [N], gap: [N, M].

    A dot product is off by at most n u |x| |y| (Higham, "Accuracy and Stability
    of Numerical Algorithms", 3.5), and by what underflows; both taken generously.
    """
    size = len(asked.latent)
    single, double = np.finfo(np.float32), np.finfo(np.float64)
    length = length + np.linalg.norm(asked.latent.astype(np.float64))
    dots = 8 * size * (single.eps * length**2 + single.tiny * (1 + length))
    step = 8 * size * double.eps * (length + np.abs(asked.move).max(initial=0))
    coordinates = (2 * np.abs(gap) @ asked.weights + step * asked.weights.sum()) * step
    slack: np.ndarray = dots + coordinates
    return slack


def nearest(
    gallery: Gallery, rows: np.ndarray, asked: Asked, directions: Directions, k: int
) -> list[Hit]:
    """The k nearest of some faces, compared in full; ties are broken by id."""
    values, names = gallery.rows(rows), directions.names
    shares: Explained = explain(
        values, asked.latent, asked.vectors, asked.move, asked.weights, directions.gram
    )
    ids = [gallery.ids[row] for row in rows]
    distance = shares.distance
    order = sorted(range(len(ids)), key=lambda place: (distance[place], ids[place]))[:k]
    return [
        Hit(
            id=ids[place],
            path=gallery.paths[rows[place]],
            distance=float(distance[place]),
            attributes=dict(zip(names, shares.attributes[place].tolist(), strict=True)),
            rest=float(shares.rest[place]),
        )
        for place in order
    ]

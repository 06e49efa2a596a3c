"""The exact top k: a scan that bounds its own rounding, then the candidates in full.

The scan reads the latents once in float32 and knows how far it can be off; only
faces that could be among the nearest k are compared in float64. The answer is
that of comparing all of them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from mien.errors import BadInput
from mien.search.distance import Explained, explain
from mien.search.gallery import Gallery
from mien.search.query import check_query, moves, wanted, weights
from mien.types import Directions, Hit, Query


@dataclass(frozen=True)
class _Asked:
    """A query along a basis: latent [D], vectors [D, M], move and weights [M]."""

    latent: np.ndarray
    vectors: np.ndarray
    move: np.ndarray
    weights: np.ndarray


def search(
    gallery: Gallery, query: Query, directions: Directions, *, exclude: Collection[str] = ()
) -> list[Hit]:
    """The k nearest faces, nearest first, each with the shares its distance is made of.

    Ties are broken by id. exclude: ids to leave out, such as the query's own.
    Raises what `check_query` raises, SpaceMismatch for a gallery of another
    space, and BadInput when k is more than the faces there are.
    """
    check_query(query, directions)
    gallery.check_latent(query.latent)
    rows = _eligible(gallery, exclude)
    if query.k > len(rows):
        raise BadInput(
            f"k={query.k} is more than the {len(rows)} faces of {gallery.folder}; ask for fewer"
        )
    asked = _asked(query, directions)
    near = _candidates(gallery, asked, rows, query.k)
    shares = explain(
        gallery.latent.flat[near], asked.latent, asked.vectors, asked.move, asked.weights
    )
    return _hits(gallery, near, shares, directions.names, query.k)


def _asked(query: Query, directions: Directions) -> _Asked:
    latent = query.latent.flat[0]
    scores = latent.astype(np.float64) @ directions.vectors.astype(np.float64)
    move = moves(scores, wanted(query, directions), directions, query.semantics)
    return _Asked(latent, directions.vectors, move, weights(query, directions))


def _eligible(gallery: Gallery, exclude: Collection[str]) -> np.ndarray:
    if not exclude:
        return np.arange(len(gallery))
    left_out = set(exclude)
    return np.flatnonzero([name not in left_out for name in gallery.ids])


def _candidates(gallery: Gallery, asked: _Asked, rows: np.ndarray, k: int) -> np.ndarray:
    """Rows that may be among the k nearest: lower bound <= k-th smallest upper bound."""
    distance, slack = _scan(gallery, asked)
    upper = (distance + slack)[rows]
    reach = np.partition(upper, k - 1)[k - 1]
    near: np.ndarray = rows[(distance - slack)[rows] <= reach]
    return near


def _scan(gallery: Gallery, asked: _Asked) -> tuple[np.ndarray, np.ndarray]:
    """(distance [N], slack [N]): the true distance is within distance +- slack.

    With r the part outside the basis, |r_q - r|^2 = |r_q|^2 + |r|^2 - 2 r_q'r and
    r_q'r = r_q'w - (F'r_q)'s; only r_q'w is computed in float32.
    """
    scores, rest = gallery.projections(asked.vectors)
    basis = asked.vectors.astype(np.float64)
    own = asked.latent @ basis
    residual = asked.latent - basis @ own
    with np.errstate(over="ignore", invalid="ignore"):
        single = gallery.latent.flat @ residual.astype(np.float32)
        cross = single.astype(np.float64) - scores @ (residual @ basis)
        gap = own - scores + asked.move
        distance = gap**2 @ asked.weights + rest + residual @ residual - 2 * cross
        slack = _slack(asked, np.sqrt(rest + (scores**2).sum(axis=1)), gap)
    safe = np.isfinite(distance) & np.isfinite(slack)
    return np.where(safe, distance, 0.0), np.where(safe, slack, np.inf)


def _slack(asked: _Asked, length: np.ndarray, gap: np.ndarray) -> np.ndarray:
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


def _hits(
    gallery: Gallery, rows: np.ndarray, shares: Explained, names: tuple[str, ...], k: int
) -> list[Hit]:
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

"""The attribute-weighted distance, exact, and how it splits into shares.

Zaeemzadeh et al. (ICCV 2021). With an orthonormal basis F [D, M] and
delta = w_q - w, the coordinates are d = F' delta and the rest is
r = delta - F d; a query moved by alpha along F has the distance

    sum_m p_m (d_m + alpha_m)^2 + |r|^2,

since moving along F leaves r alone. No D x D matrix is needed. Everything is
computed in float64; latents stay float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.checks import check_finite
from mien.search.query import legacy_moves

BLOCK = 1 << 17  # numbers of one float64 block of latents: 1 MB stays in the cache
PIECE = 1 << 10  # rows of a basis that every latent meets before the next
TABLE = 1 << 23  # numbers of one float64 block of distances of many queries: 64 MB


@dataclass(frozen=True)
class Explained:
    """Distances [N] as attribute shares [N, M] plus the rest [N], float64, none negative."""

    attributes: np.ndarray
    rest: np.ndarray

    @property
    def distance(self) -> np.ndarray:
        """float64 [N], the sum of the shares and the rest."""
        total: np.ndarray = self.attributes.sum(axis=1) + self.rest
        return total


@dataclass(frozen=True)
class Ranking:
    """order: int64 [Q, N], gallery rows by rank; distance: float64 [Q, N] in that order."""

    order: np.ndarray
    distance: np.ndarray


def decompose(values: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(scores [N, M], rest [N]) of latents: s = w @ F and |w - F s|^2, float64.

    values: [N, D]; vectors: [D, M] with orthonormal columns. The norm comes
    from |w|^2 - 2 |s|^2 + s'F'F s, never below 0; its rounding is about
    1e-15 |w|^2.
    """
    basis = vectors.astype(np.float64)
    gram = basis.T @ basis
    scores = np.empty((len(values), basis.shape[1]))
    rest = np.empty(len(values))
    for rows in _blocks(*values.shape):
        block = values[rows].astype(np.float64)
        score = scores[rows] = block @ basis
        inside = np.einsum("nm,nm->n", score, 2 * score - score @ gram)
        rest[rows] = np.maximum(np.einsum("nd,nd->n", block, block) - inside, 0)
    return scores, rest


def explain(
    values: np.ndarray,
    query: np.ndarray,
    vectors: np.ndarray,
    move: np.ndarray,
    weights: np.ndarray,
    gram: np.ndarray | None = None,
) -> Explained:
    """The distance of one query to each latent, split into shares.

    values: [N, D]; query: [D]; vectors: [D, M], orthonormal; move: [M], alpha;
    weights: [M], each >= 0; gram: F'F, where it is known. `Directions.double` and
    `Directions.gram` save their time. Equal latents get equal distances to the last
    bit, and a latent equal to an unmoved query exactly 0. The rest is |delta|^2 less
    what is along F, off by about 1e-15 |delta|^2. Raises BadInput on NaN.
    """
    for name, array in (("query", query), ("move", move), ("prefer", weights)):
        check_finite(array, name)
    attributes = np.empty((len(values), vectors.shape[1]))
    rest = np.empty(len(values))
    basis = np.asfortranarray(vectors, np.float64)
    gram = basis.T @ basis if gram is None else gram
    pieces = _pieces(basis)
    for rows in _blocks(*values.shape):
        delta = query.astype(np.float64) - values[rows].astype(np.float64)
        square = np.einsum("nd,nd->n", delta, delta)
        if not np.isfinite(square).all():  # costs less than to look at every number
            check_finite(values[rows], "latent")
        along = np.sum([piece @ delta[:, part, None] for part, piece in pieces], axis=0)[..., 0]
        attributes[rows] = weights * (along + move) ** 2
        inside = np.einsum("nm,nm->n", along, 2 * along - _each_row(along, gram))
        rest[rows] = np.maximum(square - inside, 0)
    return Explained(attributes, rest)


def rank(
    values: np.ndarray,
    queries: np.ndarray,
    vectors: np.ndarray,
    moves: np.ndarray,
    weights: np.ndarray,
) -> Ranking:
    """Rank the whole gallery for many queries at once, as matrix products.

    values: [N, D]; queries: [Q, D]; vectors: [D, M], orthonormal; moves and
    weights: [Q, M]. The weights touch only the coordinates, so one gallery row
    [s s, s, 1, |r|^2, r] answers every query as one inner product. Ties keep
    the gallery's order. Rounding is about 1e-15 of p s^2, so for weights above
    1e8 use `explain`. Raises BadInput on NaN.
    """
    for name, array in (("gallery", values), ("queries", queries), ("moves", moves)):
        check_finite(array, name)
    check_finite(weights, "weights")
    scores, rest = decompose(values, vectors)
    lifted = _lift_gallery(values, vectors, scores, rest)
    order = np.empty((len(queries), len(values)), np.int64)
    distance = np.empty((len(queries), len(values)))
    for rows in _blocks(len(queries), max(lifted.shape), TABLE):
        asked = _lift_queries(queries[rows], vectors, moves[rows], weights[rows])
        block = np.maximum(asked @ lifted.T, 0)
        order[rows] = np.argsort(block, axis=1, kind="stable")
        distance[rows] = np.take_along_axis(block, order[rows], axis=1)
    return Ranking(order, distance)


def legacy_distances(
    basis: np.ndarray,
    gallery: np.ndarray,
    query: np.ndarray,
    prefer: np.ndarray,
    adjust: np.ndarray,
    extremes: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """(ranking int64 [N], distances float64 [N] in that order), as published code computes them.

    basis: [D, M], orthonormal; gallery: [N, D]; query: [D]; prefer: [M];
    adjust: [M], 0 or 1 = move, anything else = leave alone; extremes:
    (amax, amin), [M] each, of the train set's coordinates. The move is added to
    the query's coordinate; the query stays in the gallery.
    """
    move = legacy_moves(adjust, *extremes)
    query = np.asarray(query).reshape(-1)
    distances = explain(gallery, query, basis, move, np.asarray(prefer, np.float64)).distance
    ranking = np.argsort(distances, kind="stable")
    return ranking, distances[ranking]


def _lift_gallery(
    values: np.ndarray, vectors: np.ndarray, scores: np.ndarray, rest: np.ndarray
) -> np.ndarray:
    residual = values - scores @ vectors.T.astype(np.float64)
    ones = np.ones((len(values), 1))
    return np.hstack([scores**2, scores, ones, rest[:, None], residual])


def _lift_queries(
    queries: np.ndarray, vectors: np.ndarray, moves: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    scores, rest = decompose(queries, vectors)
    residual = queries - scores @ vectors.T.astype(np.float64)
    target = scores + moves
    constant = (weights * target**2).sum(axis=1) + rest
    ones = np.ones((len(queries), 1))
    return np.hstack([weights, -2 * weights * target, constant[:, None], ones, -2 * residual])


def _pieces(vectors: np.ndarray) -> list[tuple[slice, np.ndarray]]:
    """Parts of F', float64 [M, 1024], that stay in the cache while every latent meets them."""
    rows = vectors.T
    parts = [slice(start, start + PIECE) for start in range(0, len(vectors), PIECE)]
    return [(part, rows[:, part]) for part in parts]


def _each_row(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """rows @ matrix, one product a row: a row's rounding must not depend on its neighbours."""
    product: np.ndarray = (rows[:, None, :] @ matrix)[:, 0]
    return product


def _blocks(count: int, width: int, most: int = BLOCK) -> list[slice]:
    step = max(1, most // max(1, width))
    return [slice(start, start + step) for start in range(0, count, step)]

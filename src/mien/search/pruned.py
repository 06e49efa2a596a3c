"""The faces that may be among the k nearest, proven with few latents read.

Lower bounds of all faces come from one scan of the leading codes. The faces
that look best, sharpened first, are compared in full; faces whose bound is above the k-th
distance are out, the others' bounds are sharpened stage by stage, and what is
still in question is read in the order of its bound until none is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mien.checks import check_finite
from mien.search.bounds import EPS, EPS64, TINY, Asked, Bounds, Placed, place
from mien.search.codes import PRODUCT, pieces, products

Read = Callable[[np.ndarray], np.ndarray]  # rows [n] -> latents [n, D], float32 or float16
AT_ONCE = 16  # latents of one read: few are wasted, and a block stays in the cache
QUERIES = 16  # of one matrix product over the leading codes
FIRST = 256  # faces among which the nearest are looked for first
FEW = 12  # faces beside k that are read rather than sharpened
ROUGH = 1e-3  # of the distances that are compared: what float32 may put them off
SMALL = 0.1  # of a distance: what may be left out where the first k are chosen


@dataclass(frozen=True)
class Proof:
    """near: rows that may be among the k nearest, the k nearest with them.

    reads: latents read in full to know that. least, most: float64, between which
    the distance of each of `near` is; None where only the rows are known.
    """

    near: np.ndarray
    reads: int
    least: np.ndarray | None = None
    most: np.ndarray | None = None

    def order(self, k: int) -> np.ndarray | None:
        """The k nearest rows, nearest first; None where two distances are too alike to tell."""
        if self.least is None or self.most is None:
            return None
        order = np.argsort(self.least)
        apart = self.most[order[:-1]] < self.least[order[1:]]
        return self.near[order[:k]] if apart[:k].all() else None


def prove(
    bounds: Bounds, read: Read, asked: Sequence[Asked], rows: np.ndarray | None, k: Sequence[int]
) -> list[Proof]:
    """Candidates for each query.

    asked: queries along the plan's basis; rows: the faces to choose from, None =
    all; k: for each query, at most the faces there are. Raises what `read` raises, and
    BadInput for a latent with NaN.
    """
    proofs = []
    for start in range(0, len(asked), QUERIES):
        placed = place(bounds.plan, asked[start : start + QUERIES])
        lower = bounds.first(placed)
        for query, own, count in zip(placed, lower, k[start : start + QUERIES], strict=True):
            kept = own if rows is None else own[rows]
            proofs.append(_Search(bounds, read, query, count).run(rows, kept))
    return proofs


class _Search:
    """One query: the k-th distance known so far, and what has been read."""

    def __init__(self, bounds: Bounds, read: Read, query: Placed, k: int) -> None:
        self.bounds, self.read, self.query, self.k = bounds, read, query, k
        self.rows = np.empty(0, np.int64)
        self.least, self.most = np.empty(0), np.empty(0)

    @property
    def reach(self) -> np.float64:
        """No face further than this is among the k nearest.

        A NumPy number, because float32 <= a plain float would round it to float32.
        """
        if len(self.most) < self.k:
            return np.float64(np.inf)
        return np.float64(np.partition(self.most, self.k - 1)[self.k - 1])

    def run(self, rows: np.ndarray | None, first: np.ndarray) -> Proof:
        """rows: [n], the faces to choose from, None = all; first: [n], the leading part."""
        tail = self.bounds.tail(self.query, 0, slice(None) if rows is None else rows)
        lower = _safe(first + tail)
        at = _smallest(lower, max(FIRST, 2 * self.k))
        self._compare(self._promising(at if rows is None else rows[at], first[at], lower[at]))
        at = np.flatnonzero(lower <= self.reach)
        found, sharp = self._sharpen(at if rows is None else rows[at], first[at], lower[at])
        order = np.argsort(sharp)
        self._read_all(found[order], sharp[order])
        near = self.least <= self.reach
        return Proof(self.rows[near], len(self.rows), self.least[near], self.most[near])

    def _promising(self, rows: np.ndarray, sofar: np.ndarray, lower: np.ndarray) -> np.ndarray:
        """The k of some faces that are most likely the nearest.

        Sharpens until what is left out is small beside the distances.
        """
        for stage in range(1, len(self.bounds.plan.stages)):
            likely = float(np.partition(lower, self.k - 1)[self.k - 1])
            if self.query.tail(stage - 1)[0] ** 2 <= SMALL * likely:
                break
            sofar = sofar + self.bounds.later(self.query, stage, rows)
            lower = _safe(sofar + self.bounds.tail(self.query, stage, rows))
        return rows[np.argsort(lower)[: self.k]]

    def _sharpen(
        self, rows: np.ndarray, sofar: np.ndarray, lower: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(rows, bounds) of those that are still within reach.

        Stops where reading the few faces left costs less than the next stage.
        """
        for stage in range(1, len(self.bounds.plan.stages)):
            if len(rows) <= self.k + FEW:
                break
            sofar = sofar + self.bounds.later(self.query, stage, rows)
            lower = _safe(sofar + self.bounds.tail(self.query, stage, rows))
            keep = lower <= self.reach
            rows, sofar, lower = rows[keep], sofar[keep], lower[keep]
        return rows, lower

    def _read_all(self, rows: np.ndarray, lower: np.ndarray) -> None:
        """Read faces by rising bound, until the next bound is out of reach."""
        seen = np.zeros(len(self.bounds.codes), bool)
        seen[self.rows] = True
        rows, lower = rows[~seen[rows]], lower[~seen[rows]]
        for start in range(0, len(rows), AT_ONCE):
            within = np.searchsorted(lower[start : start + AT_ONCE], self.reach, "right")
            self._compare(rows[start : start + within])
            if within < AT_ONCE:
                break

    def _compare(self, rows: np.ndarray) -> None:
        """Read some faces; their distances within float64's and the scores' rounding."""
        if not len(rows):
            return
        least, most = self._between(rows, self.read(rows))
        self.rows = np.concatenate([self.rows, rows])
        self.least = np.concatenate([self.least, least])
        self.most = np.concatenate([self.most, most])

    def _between(self, rows: np.ndarray, latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As in `exact`: |r_q - r|^2 = |r_q|^2 + |r|^2 - 2 (w_q'w - leak's).

        w_q'w comes from float32 where that cannot matter beside the distances.
        """
        bounds, query = self.bounds, self.query
        scores = bounds.codes.lead[: len(query.target), rows].T + bounds.plan.middle
        far = bounds.longest + query.length
        slack = 32 * query.latent.size * (EPS64 * far**2 + TINY)
        slack += 4 * EPS * float(bounds.reach @ np.abs(query.leak))  # the scores are float32
        with np.errstate(over="ignore", invalid="ignore"):
            least, most = bounds.weighted(query, rows)
            known = bounds.codes.rest[rows] + query.rest + 2 * (scores @ query.leak)
            rest = known - 2 * products(pieces(latents), query.single)[:, 0]
            rough = 2 * PRODUCT * query.length * bounds.longest
            if rough <= ROUGH * float(np.min(least + rest)):
                slack += rough
            else:  # also where a sum is no number
                rest = known - 2 * (latents.astype(np.float64) @ query.latent)
            if not np.isfinite(rest).all():  # as a NaN makes it, or an infinite number
                check_finite(latents, "gallery")
            least, most = np.maximum(least + rest - slack, 0), most + rest + slack
        safe = np.isfinite(least) & np.isfinite(most)
        return np.where(safe, least, 0.0), np.where(safe, most, np.inf)


def _safe(lower: np.ndarray) -> np.ndarray:
    """Bounds less the rounding of their sums; those that overflowed say nothing: 0."""
    kept: np.ndarray = lower * np.float32(1 - 32 * EPS)
    kept[~np.isfinite(kept)] = 0
    return kept


def _smallest(values: np.ndarray, count: int) -> np.ndarray:
    """Positions of about the `count` smallest of values, at least so many where there are."""
    if count >= len(values):
        return np.arange(len(values))
    edge = np.partition(values, count - 1)[count - 1]  # quicker than argpartition of a million
    return np.flatnonzero(values <= edge)[: 2 * count]

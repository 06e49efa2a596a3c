"""True lower bounds on the distance, from codes.

The distance is sum_m p_m gap_m^2 + |r_q - r|^2. Let t and x be the query's and
a face's components, x known to within a miss e, and b, c what the components
leave out, of which lengths are known. With the components orthonormal,

    |r_q - r|^2 >= sum over stages of max(0, |t - x| - e)^2 + (|b| - |c|)^2

by the triangle inequality in each stage's subspace and the one left out. Each
stage sharpens the bound. What float32 may round is subtracted (dot products:
Higham, "Accuracy and Stability of Numerical Algorithms", 3.5; generously), so
the bounds are below the true distance and not only below a computed one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mien.search.codes import PRODUCT, Codes, Plan, decode, pieces, products

EPS, TINY = float(np.finfo(np.float32).eps), float(np.finfo(np.float32).tiny)
STEP = 512  # faces whose codes are compared at once
TOGETHER = 4  # queries from which on one product for all stages is cheaper than those asked for
EPS64 = float(np.finfo(np.float64).eps)
LOOSE = 2.0**-14  # of a squared distance: what the leading bound gives up for inexact products


@dataclass(frozen=True)
class Asked:
    """A query along a basis.

    latent: float32 [D]. float64: vectors [D, M]; scores [M], latent @ vectors; move, weights [M].
    """

    latent: np.ndarray
    vectors: np.ndarray
    scores: np.ndarray
    move: np.ndarray
    weights: np.ndarray


class Placed:
    """A query as the codes see it, float64; what later stages need is computed when asked for.

    target: [M], s_q + alpha - middle. weights: [M]. latent: [D], w_q; single: its
    `pieces`. leak: [M], such that r_q'r = w_q'w - leak's for a face w with scores s; rest: |r_q|^2.
    length: |w_q|; spread: about |r_q - mean|. r_q itself is never made: to read
    F once more takes as long as to read the leading codes of ten thousand faces.
    """

    def __init__(self, plan: Plan, asked: Asked) -> None:
        self._plan = plan
        self.scores, self.weights = asked.scores, asked.weights
        self.target = asked.scores + asked.move - plan.middle
        self.single = pieces(asked.latent[None])
        self.latent = latent = asked.latent.astype(np.float64)
        self.leak = 2 * self.scores - plan.gram @ self.scores
        square = float(latent @ latent)
        self.length, self.rest = float(np.sqrt(square)), square - float(self.scores @ self.leak)
        apart = float(plan.mean @ latent - plan.inside @ self.scores)
        self.spread = float(np.sqrt(max(self.rest - 2 * apart + plan.mean @ plan.mean, 0)))
        self._along: list[np.ndarray] = []

    def along(self, stage: int) -> np.ndarray:
        """[B], its components of one stage, all together off by `miss` at most."""
        cross, middle = self._plan.shift
        while len(self._along) <= stage:
            part = self._plan.stages[len(self._along)]
            product = products(self._plan.single[:, part], self.single)[:, 0]
            self._along.append(product - cross[part] @ self.scores - middle[part])
        return self._along[stage]

    def know(self, along: list[np.ndarray]) -> None:
        """Components of all stages, computed for many queries at once."""
        self._along = along

    def miss(self, first: int, last: int) -> float:
        """How far float32 can put the components of these stages off, as one vector."""
        stages = self._plan.stages
        return PRODUCT * self.length * float(np.sqrt(stages[last].stop - stages[first].start))

    def tail(self, stage: int) -> tuple[float, float]:
        """The length of what this stage and those before it leave out, and how far it is off."""
        inside = sum(float(self.along(at) @ self.along(at)) for at in range(stage + 1))
        tail = float(np.sqrt(max(self.spread**2 - inside, 0)))
        miss = self.miss(0, stage)
        square = miss * (2 * float(np.sqrt(inside)) + miss)  # |a - b| = |a^2 - b^2| / (a + b)
        return tail, square / max(tail, float(np.sqrt(square)), TINY)


def place(plan: Plan, asked: Sequence[Asked]) -> list[Placed]:
    """Queries as the codes see them; many together cost less than one by one."""
    placed = [Placed(plan, query) for query in asked]
    if len(placed) >= TOGETHER:
        cross, middle = plan.shift
        latents = np.stack([query.latent for query in placed])
        scores = np.stack([query.scores for query in placed])
        every = products(pieces(latents), plan.single) - scores @ cross.T - middle
        for query, along in zip(placed, every, strict=True):
            query.know([along[stage] for stage in plan.stages])
    return placed


class Bounds:
    """Lower bounds for one gallery's codes; keeps what every query needs of them."""

    def __init__(self, plan: Plan, codes: Codes) -> None:
        self.plan = plan
        self.codes = codes
        with np.errstate(over="ignore"):
            self.norms = np.einsum("mn,mn->n", codes.lead, codes.lead)
        self.reach = np.abs(codes.lead[: len(plan.middle)]).max(axis=1, initial=0)
        square = max((codes.rest + self._scores()).max(initial=0), plan.mean @ plan.mean)
        self.longest = float(np.sqrt(square))
        # sqrt of what rounding and a defect of the components do to a squared tail
        self.blur = 8 * np.sqrt(plan.defect + len(plan.mean) * EPS64)

    @property
    def bytes_each(self) -> float:
        """Bytes a face resident in memory."""
        return float(self.codes.bytes + self.norms.nbytes) / max(1, len(self.codes))

    def first(self, placed: Sequence[Placed]) -> np.ndarray:
        """float32 [Q, N]: the bound by the leading stage without its tail; one matrix product."""
        names, count = len(self.plan.middle), len(self.codes.lead)
        queries = np.array([np.concatenate([q.target, q.along(0)]) for q in placed])
        plain = np.array([q.weights == 1 for q in placed]).reshape(len(placed), names)
        queries[:, :names] *= plain
        with np.errstate(over="ignore", invalid="ignore"):
            single = queries.astype(np.float32)
            squares = np.einsum("qm,qm->q", single, single)
            # off by 8 n eps of both lengths at most; and 2 a b <= x a^2 + b^2 / x, for
            # coordinates off by b and a^2 at most twice the sum of the squared lengths
            keep = np.float32(1 - 8 * (count + 8) * EPS - 2 * LOOSE)
            far = [self._far(query) + query.miss(0, 0) for query in placed]
            off = [one**2 / LOOSE + count * TINY for one in far]
            below: np.ndarray = single @ self.codes.lead
            below *= -2
            below += keep * self.norms
            below += (keep * squares - np.array(off, np.float32))[:, None]
            for row, query in enumerate(placed):
                for name in np.flatnonzero(~plain[row]):
                    self._weigh(below[row], int(name), query)
        return below

    def tail(self, query: Placed, stage: int, rows: np.ndarray | slice) -> np.ndarray:
        """float32 [n]: (|b| - |c|)^2 for what a stage and those before it leave out."""
        with np.errstate(over="ignore", invalid="ignore"):
            length, off = query.tail(stage)
            own, theirs = np.float32(length), self.codes.tails[stage][rows]
            far = self.longest + query.length
            apart: np.ndarray = np.abs(theirs - own)
            apart -= np.float32(self.blur * far + off + 8 * EPS * own + TINY)
            apart -= np.float32(8 * EPS) * theirs
            np.maximum(apart, 0, out=apart)
            apart *= apart
            return apart

    def later(self, query: Placed, stage: int, rows: np.ndarray) -> np.ndarray:
        """float32 [n]: what stage 1, 2, ... adds to the bound of some faces."""
        part = self.plan.stages[stage]
        own = query.along(stage).astype(np.float32)
        block = self.codes.blocks[stage - 1]
        apart = np.empty(len(rows), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(rows), STEP):  # what a step needs stays in the cache
                piece = slice(start, start + STEP)
                gap = decode(self.plan, block.take(rows[piece], axis=0), part)
                gap -= own
                np.einsum("nb,nb->n", gap, gap, out=apart[piece])
            np.sqrt(apart, out=apart)
            apart *= 1 - 8 * (len(own) + 8) * EPS
            apart -= self.codes.misses[stage - 1].take(rows)
            far = self._far(query) + query.miss(stage, stage)
            apart -= np.float32(8 * EPS * np.linalg.norm(own) + far + TINY)
            np.maximum(apart, 0, out=apart)
            apart *= apart
            return apart

    def weighted(self, query: Placed, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(least, most) of sum_m p_m gap_m^2 of some faces, float64 [n]."""
        names = len(self.plan.middle)
        gap = np.abs(self.codes.lead[:names, rows].T.astype(np.float64) - query.target)
        blur = self._blur(query)
        least = np.maximum(gap - blur, 0) ** 2 @ query.weights
        return least * (1 - names * EPS64), (gap + blur) ** 2 @ query.weights * (1 + names * EPS64)

    def _weigh(self, below: np.ndarray, name: int, query: Placed) -> None:
        """Put p gap^2 of one attribute in place of s^2, which the lengths contain."""
        score = self.codes.lead[name]
        gap = np.abs(score - np.float32(query.target[name]))
        gap -= np.float32(self._blur(query)[name])
        np.maximum(gap, 0, out=gap)
        gap *= gap
        # every later sum rounds by what it has grown to, at most 2 M sums
        gap *= np.float32(query.weights[name] * (1 - 8 * (len(self.plan.middle) + 8) * EPS))
        below += gap
        below -= score * score * np.float32(1 + 8 * EPS)

    def _blur(self, query: Placed) -> np.ndarray:
        """How far a stored score can be off the true one, and a gap in float32 with it, [M]."""
        size = self.reach.astype(np.float64) + np.abs(query.target)
        return np.asarray(2 * EPS * size + self._far(query) + TINY)

    def _far(self, query: Placed) -> float:
        """How far float64 can put a coordinate off, and all of them together."""
        return 16 * len(self.plan.mean) * EPS64 * (query.length + self.longest)

    def _scores(self) -> np.ndarray:
        """float64 [N], |s|^2 or a little more."""
        scores = self.codes.lead[: len(self.plan.middle)]
        total = np.zeros(len(self.codes))
        for score, middle in zip(scores, self.plan.middle, strict=True):
            total += (np.abs(score.astype(np.float64)) + abs(middle)) ** 2
        return total

"""Every adjust and prefer as one inner product, in float32, on vectors of one length.

With c the centre of the gallery, s = F'(w - c), r = w - c - F s and t the wished
coordinates, sum_m p_m (t_m - s_m)^2 + |r_q - r|^2 is a constant less the inner
product of

    a face   [a s s, s, b |r|^2, r, e]   and
    a query  [-p / a, 2 p t, -1 / b, 2 r_q, 0].

e = sqrt(R^2 - |the rest|^2) gives all faces the length R: by inner product graph
indexes rank such vectors as by distance, and others badly. c, a and b change no
ranking but keep the numbers of one size, so that float32 loses little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mien.search._shard import Shard
from mien.search.bounds import Asked

EPS = float(np.finfo(np.float32).eps)
ROOM = 1 + 1e-4  # of R over the longest face, more than float32 can add to a length


@dataclass(frozen=True)
class Lift:
    """centre: float64 [D]; vectors: float64 [D, M]; scales: (a, b); radius: R."""

    centre: np.ndarray
    vectors: np.ndarray
    scales: tuple[float, float]
    radius: float

    @property
    def width(self) -> int:
        """Numbers of a lifted vector, 2 M + D + 2."""
        size, names = map(int, self.vectors.shape)
        return 2 * names + size + 2

    def faces(self, values: np.ndarray) -> np.ndarray:
        """float32 [N, width] of latents [N, D] that were among those fitted."""
        parts = self._parts(values)
        left = self.radius**2 - np.einsum("nw,nw->n", parts, parts)
        return np.hstack([parts, np.sqrt(np.maximum(left, 0))[:, None]]).astype(np.float32)

    def query(self, asked: Asked) -> tuple[np.ndarray, float, float]:
        """(vector float32 [width], constant, slack).

        A face's distance is the constant less the inner product, within the
        slack when that is computed in float32 in any order (Higham, "Accuracy
        and Stability of Numerical Algorithms", 3.5; generously).
        """
        own, rest = self._split(asked.latent[None])
        target, weights = own[0] + asked.move, asked.weights
        first, second = self.scales
        vector = np.concatenate(
            [-weights / first, 2 * weights * target, [-1 / second], 2 * rest[0], [0]]
        )
        constant = float(weights @ target**2 + rest[0] @ rest[0])
        slack = 4 * self.width * EPS * self.radius * float(np.linalg.norm(vector))
        with np.errstate(over="ignore"):
            return vector.astype(np.float32), constant, slack

    def _split(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        centred = values.astype(np.float64) - self.centre
        scores = centred @ self.vectors
        return scores, centred - scores @ self.vectors.T

    def _parts(self, values: np.ndarray) -> np.ndarray:
        scores, rest = self._split(values)
        first, second = self.scales
        length = np.einsum("nd,nd->n", rest, rest)[:, None]
        return np.hstack([first * scores**2, scores, second * length, rest])


def fit_lift(shards: Sequence[Shard], vectors: np.ndarray) -> Lift:
    """The lift for all faces of some shards (at least one) along a basis [D, M]."""
    basis = np.asarray(vectors, np.float64)
    count = sum(len(shard) for shard in shards)
    total = np.sum([shard.mapped.sum(axis=0, dtype=np.float64) for shard in shards], axis=0)
    plain = Lift(total / count, basis, (1.0, 1.0), 0.0)
    along, outside = 0.0, 0.0
    for shard in shards:
        scores, rest = plain._split(shard.mapped)
        along += float((scores**2).sum()) / scores.size * len(shard) / count
        outside += float((rest**2).sum()) / count
    scales = tuple(1 / (2 * np.sqrt(size)) if size > 0 else 1.0 for size in (along, outside))
    scaled = replace(plain, scales=(float(scales[0]), float(scales[1])))
    longest = max(float((scaled._parts(shard.mapped) ** 2).sum(axis=1).max()) for shard in shards)
    return replace(scaled, radius=float(np.sqrt(longest)) * ROOM)

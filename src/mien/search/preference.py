"""Learn which attributes should matter how much, from queries whose best answers are known.

Zaeemzadeh et al. (ICCV 2021) report rankings under the preference vectors that rank
best and under the best ones that keep the person; how these were found is not
published. Here the distance is linear in the weights,

    d_qn = sum_m p_qm (t_qm - s_nm)^2 + |r_q - r_n|^2,

with t the query's coordinates after the adjustment. So the listwise cross-entropy
(Cao et al., "Learning to rank: from pairwise approach to listwise approach",
ICML 2007) between softmax(relevance / sharpness) and softmax(-b d) is convex in b
and b p. Both are kept at 0 or more by L-BFGS-B, with closed gradients. A second
term rewards the likeness expected under softmax(-b d); with it the loss is not
convex, and the start matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from mien.checks import check_finite, check_shape
from mien.errors import BadInput

LEAST = 1e-3  # of b times the mean |r_q - r_n|^2: b = 0 would make every weight infinite


@dataclass(frozen=True)
class Preference:
    """Weights [M], each >= 0, of attributes left alone and of attributes adjusted."""

    alone: np.ndarray
    adjusted: np.ndarray

    def weights(self, wanted: np.ndarray) -> np.ndarray:
        """float64 [Q, M] for wanted presences [Q, M] (NaN = left alone)."""
        weights: np.ndarray = np.where(np.isnan(wanted), self.alone, self.adjusted)
        return weights


@dataclass(frozen=True)
class Examples:
    """Queries with the answers that are right.

    coordinates: float [N, M] of the gallery. targets: float [Q, M], the queries'
    coordinates after the adjustment. rest: float [Q, N], |r_q - r_n|^2. wanted: float
    [Q, M], presences, NaN = left alone. relevance: float [Q, N], more is better. own:
    int [Q], the gallery row that is the query itself and no answer. likeness: float
    [Q, N], what may be rewarded too (cosine of identities). Raises BadInput for
    other shapes and for NaN where none belongs.
    """

    coordinates: np.ndarray
    targets: np.ndarray
    rest: np.ndarray
    wanted: np.ndarray
    relevance: np.ndarray
    own: np.ndarray
    likeness: np.ndarray | None = None

    def __post_init__(self) -> None:
        queries, faces = len(self.targets), len(self.coordinates)
        if not queries or faces < 3:
            raise BadInput(f"{queries} queries among {faces} faces teach nothing; give more")
        check_shape(self.targets, (queries, self.coordinates.shape[1]), "targets")
        check_shape(self.wanted, self.targets.shape, "wanted presences")
        check_shape(self.own, (queries,), "the queries' rows")
        for name in ("rest", "relevance", "likeness"):
            table = getattr(self, name)
            if table is not None:
                check_shape(table, (queries, faces), name)
                check_finite(table, name)
        check_finite(self.coordinates, "coordinates")
        check_finite(self.targets, "targets")


@dataclass(frozen=True)
class Options:
    """What is minimised."""

    sharpness: float = 1.0  # in units of relevance: smaller looks at the very best answers only
    likeness: float = 0.0  # weight of the likeness expected among the first
    iterations: int = 200


def fit(
    examples: Examples, options: Options | None = None, start: Preference | None = None
) -> Preference:
    """The weights that minimise the loss, from `start` (default: all weights 1).

    Where the rest of the face tells nothing, b falls to its bound and weights grow to about
    1 / LEAST times the mean |r_q - r_n|^2 in units of their coordinates' variance: the rest then
    decides among equals only.
    """
    options = options or Options()
    loss = _Loss(examples, options)
    count = loss.scale.size
    first = start or Preference(np.ones(count), np.ones(count))
    bounds = [(LEAST, None)] + [(0.0, None)] * (2 * count)
    found = minimize(
        loss, loss.packed(first), jac=True, method="L-BFGS-B", bounds=bounds,
        options={"maxiter": options.iterations},
    )  # fmt: skip
    return loss.unpacked(found.x)


class _Loss:
    """Loss and gradient over [b, b p alone, b p adjusted], each divided by its scale."""

    def __init__(self, examples: Examples, options: Options) -> None:
        self.examples, self.options = examples, options
        self.adjusted = ~np.isnan(examples.wanted)
        self.scale = np.maximum(examples.coordinates.var(axis=0), 1e-12)
        self.mean_rest = max(float(examples.rest.mean()), 1e-12)
        self.squares = examples.coordinates**2
        self.places = np.arange(len(examples.own)), examples.own
        self.wanted, _ = self._softmax(examples.relevance / options.sharpness)

    def packed(self, preference: Preference) -> np.ndarray:
        """The point to start from: b such that the part of attributes differs by about 1."""
        alone, adjusted = preference.alone * self.scale, preference.adjusted * self.scale
        b = 1.0 / max(float(alone.sum()), self.mean_rest / len(self.scale), 1e-12)
        return np.concatenate([[max(b * self.mean_rest, LEAST)], b * alone, b * adjusted])

    def unpacked(self, point: np.ndarray) -> Preference:
        """The preference at a point."""
        b = point[0] / self.mean_rest
        alone, adjusted = point[1:].reshape(2, -1) / self.scale / b
        return Preference(alone, adjusted)

    def __call__(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        examples, count = self.examples, self.scale.size
        alone, adjusted = point[1:].reshape(2, count) / self.scale
        p = np.where(self.adjusted, adjusted, alone)
        cross = (2 * p * examples.targets) @ examples.coordinates.T - p @ self.squares.T
        logits = cross - point[0] / self.mean_rest * examples.rest
        given, log = self._softmax(logits)
        loss = float((log - (self.wanted * logits).sum(axis=1)).mean())
        slope = given - self.wanted
        if self.options.likeness and examples.likeness is not None:
            expected = (given * examples.likeness).sum(axis=1, keepdims=True)
            loss -= self.options.likeness * float(expected.mean())
            slope -= self.options.likeness * given * (examples.likeness - expected)
        return loss, self._gradient(slope / len(slope))

    def _gradient(self, slope: np.ndarray) -> np.ndarray:
        """Of the loss by the point, from its slope by the logits; rows of `slope` sum to 0."""
        examples = self.examples
        by_p = 2 * examples.targets * (slope @ examples.coordinates) - slope @ self.squares
        alone = np.where(self.adjusted, 0.0, by_p).sum(axis=0) / self.scale
        adjusted = np.where(self.adjusted, by_p, 0.0).sum(axis=0) / self.scale
        b = -float((slope * examples.rest).sum()) / self.mean_rest
        return np.concatenate([[b], alone, adjusted])

    def _softmax(self, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(shares [Q, N] over the gallery without the query itself, log of the sums [Q])."""
        others = logits.copy()
        others[self.places] = -np.inf
        top = others.max(axis=1, keepdims=True)
        grown = np.exp(others - top)
        total = grown.sum(axis=1, keepdims=True)
        return grown / total, (top + np.log(total))[:, 0]

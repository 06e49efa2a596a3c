"""Where real faces lie in a latent space, and how far an edit may leave it."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from mien.directions._linear import coordinates, covariance
from mien.directions.contract import BoundedDirections, Distribution
from mien.errors import BadInput
from mien.types import Directions, Latent


def fit_distribution(
    latent: Latent,
    quantile: float = 0.999,
    axes: int = 512,
    shrinkage: float = 0.01,
) -> Distribution:
    """The Gaussian of real faces' latents, its radius the `quantile` of their own distances.

    axes: principal axes kept at most; what they leave out shares one deviation,
    as in probabilistic PCA (Tipping and Bishop, 1999). shrinkage: share of the
    mean variance mixed into every axis, so that collapsed axes do not rule the
    distance. Raises BadInput with fewer than two faces or no spread.
    """
    if len(latent) < 2 or not 0 < quantile <= 1:
        raise BadInput("a distribution needs two faces or more and a quantile in (0, 1]")
    flat = latent.flat
    mean = flat.mean(axis=0, dtype=np.float64)
    variances, vectors = np.linalg.eigh(covariance(flat, mean))
    level = float(variances.mean())
    if not level > 0:
        raise BadInput("all latents are equal, so they have no distribution; give several faces")
    shrunk = (1 - shrinkage) * np.maximum(variances, 0) + shrinkage * level
    kept = slice(max(len(shrunk) - axes, 0), None)
    left = shrunk[: kept.start]
    rest = float(np.sqrt(left.mean())) if len(left) else float("inf")
    found = Distribution(mean, vectors[:, kept], np.sqrt(shrunk[kept]), rest, radius=1.0)
    distances = mahalanobis(flat, found)
    return with_radius(found, float(np.quantile(distances, quantile)))


def with_radius(distribution: Distribution, radius: float) -> Distribution:
    """The same Gaussian with another limit."""
    known = distribution
    return Distribution(known.mean, known.axes, known.scales, known.rest, radius)


def bounded(directions: Directions, distribution: Distribution) -> BoundedDirections:
    """The same directions, carrying the distribution that limits edits."""
    if len(distribution.mean) != len(directions.vectors):
        raise BadInput(
            f"the distribution has {len(distribution.mean)} dimensions, the directions "
            f"{len(directions.vectors)}; fit it on the same latents"
        )
    values = {field.name: getattr(directions, field.name) for field in fields(Directions)}
    return BoundedDirections(**values, distribution=distribution)


def mahalanobis(flat: np.ndarray, distribution: Distribution) -> np.ndarray:
    """float64 [N]: the distances of flattened latents [N, D] from the mean."""
    centred = flat - distribution.mean
    return np.asarray(np.sqrt(np.maximum(_inner(centred, centred, distribution), 0)))


def shrink_movement(flat: np.ndarray, move: np.ndarray, distribution: Distribution) -> np.ndarray:
    """float64 [N]: the share in [0, 1] of every movement that stays inside the radius.

    flat: latents [N, D]; move: movements [N, D]. A face that lies outside
    already may move on its own shell or inwards. The share is the positive root
    t of |x + t m| = max(radius, |x|), a quadratic in t.
    """
    start = flat - distribution.mean
    here = _inner(start, start, distribution)
    along = _inner(start, move, distribution)
    length = _inner(move, move, distribution)
    room = np.maximum(distribution.radius**2 - here, 0)
    beyond = length + 2 * along > room
    root = np.sqrt(along**2 + length * room)
    # Two forms of the same root; each adds numbers of one sign and loses no digits.
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(along > 0, room / (along + root), (root - along) / length)
    return np.where(beyond, np.clip(share, 0, 1), 1.0)


def _inner(first: np.ndarray, second: np.ndarray, distribution: Distribution) -> np.ndarray:
    """float64 [N]: inner products of rows [N, D] in the metric of the Gaussian."""
    outside = 1 / distribution.rest**2
    weight = 1 / np.square(distribution.scales, dtype=np.float64) - outside
    inside = coordinates(first, distribution.axes) * coordinates(second, distribution.axes)
    return np.asarray(inside @ weight + outside * (first * second).sum(axis=1, dtype=np.float64))

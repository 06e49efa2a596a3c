"""Linear discriminant with a shared, shrunk covariance; all attributes jointly if wanted.

Three choices meet in one formula, F = S^-1 D, solved once for all attributes:

* `shrinkage` a in [0, 1] makes S = (1 - a) C + a trace(C)/dim I (Friedman,
  "Regularized Discriminant Analysis", 1989; Ledoit and Wolf, 2004). a = 0 is
  Fisher's discriminant, the direction that separates best; a = 1 leaves D as
  it is, the direction along which the faces differ. A discriminant also cancels
  what merely varies together with the attribute, so it classifies better and
  touches less, but small a lets it lean on latent axes that decode to little.
* separately, D holds plain mean differences and C is the covariance of all
  latents. With the covariance within the classes the direction is the same
  (they differ by a multiple of d d^T; Sherman and Morrison, 1950), so one
  matrix serves every attribute and every unknown label.
* jointly (`joint`), D holds the coefficients of a ridge regression of the
  latents on all labels: how the latent changes when one label changes and the
  others stay, which is what keeps correlated attributes apart (Bald from
  Male); C is the covariance of what the labels leave unexplained. The reverse
  regression, labels on latents, would not do it: its outputs do not know of
  one another, column by column it is the separate discriminant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.checks import check_numbers
from mien.directions._assemble import assemble, plain_options
from mien.directions._contrast import contrasts, with_enough
from mien.directions._linear import covariance, unit_columns, weighted_sums
from mien.directions.contract import Labelled
from mien.directions.mean_difference import midway
from mien.errors import BadInput
from mien.types import Directions


@dataclass(frozen=True)
class Options:
    """Options of the discriminant."""

    shrinkage: float = 0.3  # 0 = Fisher's discriminant, 1 = no whitening
    joint: bool = False  # regress latents on all labels at once
    label_ridge: float = 0.01  # of the joint regression, on standardised labels
    fewest: int = 10  # faces needed on either side of an attribute
    skip_rare: bool = False  # leave attributes with fewer out instead of refusing

    def __post_init__(self) -> None:
        check_numbers(self, shares=("shrinkage",))


DEFAULTS = Options()


def find(data: Labelled, options: Options = DEFAULTS) -> Directions:
    """Directions of the regularised discriminant; sign(w @ f + bias) classifies.

    The boundary lies midway between the means of the faces with and without the
    attribute. Unknown labels take no part in the differences; the joint
    regression puts the attribute's mean in their place. Raises BadInput for an
    attribute with too few faces, or a singular covariance.
    """
    weights = contrasts(data.attributes)
    names = with_enough(data.attributes, weights, options.fewest, options.skip_rare)
    weights = weights[:, [data.attributes.index(name) for name in names]]
    kept = Labelled(data.latent, data.attributes.select(names))
    latents = kept.latent.flat
    effects = _joint if options.joint else _separate
    differences, spread = effects(latents, kept.attributes.table, weights, options)
    vectors = unit_columns(_whiten(differences, spread, options.shrinkage), tuple(names))
    provenance = {"method": "ridge", "options": plain_options(options)}
    return assemble(kept, vectors, midway(latents, weights, vectors), provenance)


def _separate(
    latents: np.ndarray, table: np.ndarray, weights: np.ndarray, options: Options
) -> tuple[np.ndarray, np.ndarray]:
    """(mean differences [D, M], covariance of all latents [D, D])."""
    mean = latents.mean(axis=0, dtype=np.float64)
    return weighted_sums(weights, latents), covariance(latents, mean)


def _joint(
    latents: np.ndarray, table: np.ndarray, weights: np.ndarray, options: Options
) -> tuple[np.ndarray, np.ndarray]:
    """(regression coefficients [D, M], covariance of the residuals [D, D])."""
    labels = _standardised(table)  # [N, M]
    count = len(latents)
    gram = labels.T @ labels / count
    cross = weighted_sums(labels, latents) / count  # [D, M], labels are centred
    ridge = options.label_ridge * np.eye(labels.shape[1])
    try:
        effect = np.linalg.solve(gram + ridge, cross.T).T
    except np.linalg.LinAlgError:
        raise BadInput("two attributes have the same labels; raise label_ridge") from None
    mean = latents.mean(axis=0, dtype=np.float64)
    explained = effect @ cross.T
    left = covariance(latents, mean) - explained - explained.T + effect @ gram @ effect.T
    return effect, left


def _standardised(table: np.ndarray) -> np.ndarray:
    """Labels float64 [N, M] with mean 0 and deviation 1 over the known ones, unknown 0."""
    known = table != 0
    counts = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, table - table.sum(axis=0) / counts, 0.0)
    return np.asarray(centred / np.sqrt((centred**2).sum(axis=0) / counts))


def _whiten(differences: np.ndarray, spread: np.ndarray, shrinkage: float) -> np.ndarray:
    size = len(spread)
    shrunk = (1 - shrinkage) * spread + shrinkage * np.trace(spread) / size * np.eye(size)
    if shrinkage < 1e-9 and np.linalg.matrix_rank(shrunk, hermitian=True) < size:
        raise BadInput(
            f"the covariance of these latents is singular at shrinkage {shrinkage}; "
            "raise shrinkage or give more faces"
        )
    return np.asarray(np.linalg.solve(shrunk, differences))

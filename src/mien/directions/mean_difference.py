"""Mean difference: the mean latent of faces that have an attribute minus that of faces without.

White, "Sampling Generative Networks" (2016), section 3.3, with its remedy for
correlated labels: compare like with like. Balanced over Male, the direction of
Bald is an average of "bald minus other men" and "bald minus other women"
instead of mostly "man minus woman".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.checks import check_numbers
from mien.directions._assemble import assemble, plain_options
from mien.directions._contrast import contrasts, with_enough
from mien.directions._linear import unit_columns, weighted_sums
from mien.directions.contract import Labelled
from mien.types import Directions


@dataclass(frozen=True)
class Options:
    """Options of the mean difference."""

    balance: tuple[str, ...] = ()  # attributes over whose strata the difference is averaged
    fewest: int = 10  # faces needed on either side of an attribute
    skip_rare: bool = False  # leave attributes with fewer out instead of refusing

    def __post_init__(self) -> None:
        check_numbers(self)


DEFAULTS = Options()


def find(data: Labelled, options: Options = DEFAULTS) -> Directions:
    """Directions of the mean difference; faces with an unknown label take no part in it.

    `bias` puts the boundary midway between the two means. Strata with faces on
    both sides are averaged with weights present * absent / (present + absent),
    the inverse variance of their difference. Raises BadInput naming an
    attribute with too few faces, UnknownName for one in `balance`.
    """
    weights = contrasts(data.attributes, options.balance)
    names = with_enough(data.attributes, weights, options.fewest, options.skip_rare)
    weights = weights[:, [data.attributes.index(name) for name in names]]
    vectors, bias = difference(data.latent.flat, weights, tuple(names))
    kept = Labelled(data.latent, data.attributes.select(names))
    provenance = {"method": "mean_difference", "options": plain_options(options)}
    return assemble(kept, vectors, bias, provenance)


def difference(
    latents: np.ndarray, weights: np.ndarray, names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """(unit vectors float64 [D, M], bias [M]) of contrast weights [N, M] over latents [N, D]."""
    vectors = unit_columns(weighted_sums(weights, latents), names)
    return vectors, midway(latents, weights, vectors)


def midway(latents: np.ndarray, weights: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Bias float64 [M] that puts the boundary midway between the two weighted means."""
    middle = weighted_sums(np.abs(weights), latents) / 2
    return np.asarray(-(middle * vectors).sum(axis=0))

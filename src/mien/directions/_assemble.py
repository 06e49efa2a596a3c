"""From unit vectors to uncalibrated `Directions`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.directions._linear import coordinates
from mien.directions.contract import Labelled
from mien.errors import BadInput
from mien.types import Directions

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

QUANTILES = (0.001, 0.999)  # of the absent and of the present faces' coordinates


def assemble(
    data: Labelled,
    vectors: np.ndarray,  # [D, M] unit columns
    bias: np.ndarray,  # [M]
    provenance: Mapping[str, Any],
    orthonormal: bool = False,
) -> Directions:
    """Directions over data's attributes, low and high from the coordinates of its faces."""
    low, high = presence_range(coordinates(data.latent.flat, vectors), data.attributes.table)
    return Directions(
        names=data.attributes.names,
        vectors=vectors.astype(np.float32),
        bias=np.asarray(bias, np.float32),
        low=low.astype(np.float32),
        high=high.astype(np.float32),
        unit=np.maximum(high - low, 1e-6).astype(np.float32),
        space=data.latent.space,
        model=data.latent.model,
        orthonormal=orthonormal,
        provenance={**provenance, "faces": len(data.latent)},
    )


def presence_range(
    scores: np.ndarray, table: np.ndarray, quantiles: tuple[float, float] = QUANTILES
) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) float64 [M]: the coordinates that presence 0 and 1 stand for.

    scores: float64 [N, M]; table: int8 [N, M]. low is the first quantile over
    faces lacking the attribute, high the second over faces having it, a
    robust form of the published minimum and maximum over the train set. With no
    face on a side all faces are taken.
    """
    if not 0 <= quantiles[0] <= 1 or not 0 <= quantiles[1] <= 1:
        raise BadInput(f"quantiles are {quantiles}, expected two numbers in [0, 1]")
    low = [_quantile(s, y < 0, quantiles[0]) for s, y in zip(scores.T, table.T, strict=True)]
    high = [_quantile(s, y > 0, quantiles[1]) for s, y in zip(scores.T, table.T, strict=True)]
    return np.array(low), np.array(high)


def plain_options(options: DataclassInstance) -> dict[str, Any]:
    """The fields of an options dataclass as plain JSON values."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(options).items()}


def _quantile(scores: np.ndarray, side: np.ndarray, quantile: float) -> float:
    chosen = scores[side] if side.any() else scores
    return float(np.quantile(chosen, quantile)) if len(chosen) else 0.0

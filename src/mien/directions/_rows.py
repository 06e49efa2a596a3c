"""W inside W+: latents whose rows are all alike, and directions that move all rows alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mien.directions.contract import Labelled
from mien.errors import BadInput
from mien.types import Directions, Latent


def one_row(data: Labelled) -> tuple[Labelled, int]:
    """(data with latents [N, D] where all rows of [N, L, D] are alike, L); else (data, 1).

    Samples of a style-based generator repeat one w in every row; what is found
    in w is the same and D*L times D*L numbers need not be held.
    """
    values = data.latent.values
    if values.ndim == 2 or not len(values) or np.ptp(values, axis=1).any():
        return data, 1
    row = np.ascontiguousarray(values[:, 0])
    return replace(data, latent=Latent(row, data.latent.space, data.latent.model)), values.shape[1]


def over_rows(directions: Directions, count: int, space: str | None = None) -> Directions:
    """Directions of w [D] as directions of w+ [count, D] that move all rows alike.

    An amount of 1 moves every row by what it moved w. The boundary is the old one
    for the mean of the rows. space: the name of the other space, None for the same.
    """
    if count < 1:
        raise BadInput(f"directions cannot move {count} rows; give 1 or more")
    length = np.float32(np.sqrt(count))
    scaled = {key: getattr(directions, key) * length for key in ("bias", "low", "high", "unit")}
    down = directions.unit_down
    return replace(
        directions,
        vectors=np.tile(directions.vectors, (count, 1)) / length,
        unit_down=None if down is None else down * length,
        space=space or directions.space,
        **scaled,
    )


def row_mask(shape: Sequence[int], rows: Sequence[int]) -> np.ndarray:
    """float64 [L*D], 1 at the chosen rows of a latent [L, D] and 0 elsewhere."""
    mask = np.zeros(tuple(shape))
    mask[list(rows)] = 1
    return mask.reshape(-1)

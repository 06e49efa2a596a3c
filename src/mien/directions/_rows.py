"""W inside W+: latents whose rows are all alike, and directions that move all rows alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mien.directions.contract import Labelled
from mien.errors import BadInput
from mien.types import Directions, Latent

BLOCK = 512  # faces compared at a time: 10,000 latents of 18 x 512 are 370 MB
SAME = 1e-4  # of the largest difference between faces: rounding of float32 rows


@dataclass(frozen=True)
class Repeated:
    """How the rows of w+ latents repeat one w: their mean is offset + scale * w.

    count: rows; 1 for latents that were not reduced. offset: float64 [D].
    """

    count: int
    scale: float
    offset: np.ndarray

    def spread(self, directions: Directions) -> Directions:
        """Directions of w as directions of all rows, boundaries where they separate the rows."""
        if self.count == 1:
            return directions
        shift = self.offset @ directions.vectors.astype(np.float64)
        moved = {
            "bias": self.scale * directions.bias - shift,
            "low": self.scale * directions.low + shift,
            "high": self.scale * directions.high + shift,
        }
        kept = {key: value.astype(np.float32) for key, value in moved.items()}
        return over_rows(replace(directions, **kept), self.count)


def one_row(data: Labelled) -> tuple[Labelled, Repeated]:
    """(data with latents [N, D] where the rows of [N, L, D] repeat one w, how they do); else data.

    Samples of a style-based generator repeat one w in every row, some rows
    drawn towards the average (truncation). What is found in w is the same, and (D*L)^2
    numbers need not be held. The w is the row that varies most.
    """
    values = data.latent.values
    plain = Repeated(1, 1.0, np.zeros(values.shape[-1]))
    if values.ndim == 2 or len(values) < 2:
        return data, plain
    few = values[:BLOCK] - values[:1]  # from the first face, so that offsets cancel
    spread = np.linalg.norm(few, axis=(0, 2)).astype(np.float64)
    most = int(spread.argmax())
    factors = spread / (spread[most] or 1.0)
    if not all(_follow(part - values[:1], most, factors) for part in _blocks(values)):
        return data, plain
    row = np.ascontiguousarray(values[:, most])
    scale = float(factors.mean())
    offset = values[0].astype(np.float64).mean(axis=0) - scale * row[0].astype(np.float64)
    latent = Latent(row, data.latent.space, data.latent.model)
    return replace(data, latent=latent), Repeated(values.shape[1], scale, offset)


def _blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    return (values[start : start + BLOCK] for start in range(0, len(values), BLOCK))


def _follow(moved: np.ndarray, most: int, factors: np.ndarray) -> bool:
    """Whether every row of [n, L, D] is its factor times the row `most`."""
    gaps = moved - factors[:, None].astype(np.float32) * moved[:, most : most + 1]
    return bool(np.abs(gaps).max() <= SAME * np.abs(moved).max())


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

"""Where a face lies: a similarity between photo and face, as a map and as four numbers.

The map, float64 [2, 3], brings photo coordinates (pixel centres at integer + 0.5) to
the unit square of the aligned face; times S it brings them to a face of S pixels.
"""

from __future__ import annotations

import math

import numpy as np

from mien.faces._warp import apply, invert

CENTRE = np.array([[0.5, 0.5]])


def numbers_of(matrix: np.ndarray) -> np.ndarray:
    """float64 [4]: centre x, y in pixels, log of the side in pixels, angle in radians."""
    back = invert(matrix)
    x, y = apply(back, CENTRE)[0]
    return np.array([x, y, math.log(math.hypot(*back[:, 0])), math.atan2(back[1, 0], back[0, 0])])


def matrix_of(numbers: np.ndarray) -> np.ndarray:
    """The map of four numbers."""
    x, y, side, angle = numbers
    cos, sin = math.exp(side) * math.cos(angle), math.exp(side) * math.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    return invert(np.column_stack([linear, np.array([x, y]) - linear @ CENTRE[0]]))


def side_of(numbers: np.ndarray) -> float:
    """Pixels of the square's side."""
    return math.exp(numbers[2])


def difference(there: np.ndarray, here: np.ndarray) -> np.ndarray:
    """float64 [4] from `here` to `there`, the angle the short way round."""
    gap: np.ndarray = there - here
    gap[3] = (gap[3] + math.pi) % (2 * math.pi) - math.pi
    return gap

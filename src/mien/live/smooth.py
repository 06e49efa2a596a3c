"""The One Euro filter: steady when a value rests, quick when it moves.

Casiez, Roussel and Vogel, "1 Euro Filter: A Simple Speed-based Low-pass Filter for
Noisy Input in Interactive Systems" (CHI 2012), equations 1 to 8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SmoothOptions:
    """Cutoffs of the low-pass filters."""

    least: float = 1.0  # Hz, of a value at rest: lower is steadier
    speed: float = 30.0  # Hz more for each unit a second: higher lags less; 1/190 unit at most
    slope: float = 1.0  # Hz, of the speed itself


class OneEuro:
    """A filter of vectors that come one after the other."""

    def __init__(self, options: SmoothOptions | None = None) -> None:
        self.options = options or SmoothOptions()
        self._value: np.ndarray | None = None
        self._speed = np.zeros(0)
        self._seconds = 0.0

    def __call__(self, value: np.ndarray, seconds: float, unit: np.ndarray) -> np.ndarray:
        """The filtered vector [D] for the value [D] measured at `seconds`.

        unit: [D], what counts as one unit of speed in each component.
        """
        if self._value is None:
            self._value, self._speed = np.array(value, np.float64), np.zeros(len(value))
            self._seconds = seconds
            return self._value
        step = max(seconds - self._seconds, 1e-3)  # streams repeat a time now and then
        raw = (value - self._value) / step
        self._speed = self._speed + _share(self.options.slope, step) * (raw - self._speed)
        cutoff = self.options.least + self.options.speed * np.abs(self._speed) / unit
        self._value = self._value + _share(cutoff, step) * (value - self._value)
        self._seconds = seconds
        return self._value


def _share(cutoff: float | np.ndarray, step: float) -> np.ndarray:
    """How much of a new value is taken: alpha of equation 6, for a cutoff in Hz."""
    return np.asarray(1 / (1 + 1 / (2 * math.pi * cutoff * step)))

"""Latents around 0 at unit deviation, and directions given back for the latents as they were."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Centring:
    """x = (w - mean) / deviation: mean [D] of the faces, one deviation for all numbers.

    One deviation, because one a number would turn right angles into others.
    """

    mean: np.ndarray
    deviation: float

    @classmethod
    def of(cls, latents: np.ndarray) -> Centring:
        """The mean of latents [N, D] and their root mean square distance from it, a number."""
        mean = latents.mean(axis=0, dtype=np.float64)
        spread = float(np.sqrt(latents.var(axis=0, dtype=np.float64).mean()))
        return cls(mean, spread or 1.0)  # latents that are all the same need no scale

    @classmethod
    def none(cls, size: int) -> Centring:
        """Latents of `size` numbers stay as they are."""
        return cls(np.zeros(size), 1.0)

    def apply(self, latents: np.ndarray) -> np.ndarray:
        """x [N, D] of latents w [N, D], in their precision."""
        if self.deviation == 1 and not self.mean.any():
            return latents
        centred: np.ndarray = latents - self.mean.astype(latents.dtype)
        centred /= np.asarray(self.deviation, latents.dtype)
        return centred

    def undo(self, vectors: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(F, b) with w @ F + b = x @ vectors + bias, of vectors [D, M] and bias [1, M]."""
        raw = vectors / self.deviation
        return raw, bias - self.mean @ raw

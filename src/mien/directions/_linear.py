"""Products with float32 latents in float64, a block of faces at a time.

A gallery in W+ (20,000 x 9,216) would take 1.5 GB as float64; blocks keep it small.
"""

from __future__ import annotations

import numpy as np

from mien.errors import BadInput

BLOCK = 4096  # faces cast to float64 at a time


def weighted_sums(weights: np.ndarray, latents: np.ndarray) -> np.ndarray:
    """float64 [D, M]: for every column of weights [N, M], the weighted sum of latents [N, D]."""
    total = np.zeros((latents.shape[1], weights.shape[1]))
    for start in range(0, len(latents), BLOCK):
        rows = slice(start, start + BLOCK)
        total += latents[rows].astype(np.float64).T @ weights[rows]
    return total


def coordinates(latents: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """float64 [N, M]: latents [N, D] @ vectors [D, M]."""
    out = np.empty((len(latents), vectors.shape[1]))
    for start in range(0, len(latents), BLOCK):
        rows = slice(start, start + BLOCK)
        out[rows] = latents[rows].astype(np.float64) @ vectors.astype(np.float64)
    return out


def covariance(latents: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """float64 [D, D]: the covariance (divided by N) of latents [N, D] about mean [D]."""
    total = np.zeros((latents.shape[1],) * 2)
    for start in range(0, len(latents), BLOCK):
        centred = latents[start : start + BLOCK] - mean
        total += centred.T @ centred
    return total / max(len(latents), 1)


def unit_columns(vectors: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """The columns of vectors [D, M] at length 1; BadInput names a column of length 0."""
    lengths = np.linalg.norm(vectors, axis=0)
    for name, length in zip(names, lengths, strict=True):
        if not length > 0:
            raise BadInput(
                f"faces with and without {name} have the same mean latent, so it has no "
                "direction; leave it out"
            )
    return np.asarray(vectors / lengths)

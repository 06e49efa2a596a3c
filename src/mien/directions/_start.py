"""Where Algorithm 2 starts: F [D, M] and b [1, M] before the first step."""

from __future__ import annotations

import numpy as np

from mien.directions._contrast import contrasts
from mien.directions._linear import weighted_sums
from mien.errors import BadInput
from mien.types import Attributes


def random_start(
    shape: tuple[int, int], kind: str, scale: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """F from "normal" (deviation `scale`) or "xavier" (uniform; Glorot and Bengio, 2010), b = 0."""
    generator = np.random.default_rng([seed, 1])
    bias = np.zeros((1, shape[1]))
    if kind == "normal":
        return generator.normal(0, scale, shape), bias
    bound = np.sqrt(6 / sum(shape))
    return generator.uniform(-bound, bound, shape), bias


def mean_difference_start(latents: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean differences, scaled and shifted so that the class means score 1 and -1."""
    names = tuple(f"attribute {number}" for number in range(labels.shape[1]))
    weights = contrasts(Attributes(names, labels.astype(np.int8)))
    vectors = weighted_sums(weights, latents)
    lengths = np.linalg.norm(vectors, axis=0)
    if not (lengths > 0).all():
        raise BadInput(
            f"{names[int(np.argmin(lengths))]} (counted from 0) has no mean difference to start "
            "from; start with 'xavier' or 'normal', or leave it out"
        )
    vectors *= 2 / lengths**2
    middle = weighted_sums(np.abs(weights), latents) / 2
    return vectors, -(middle * vectors).sum(axis=0, keepdims=True)

"""Small latents, labels and directions with known answers."""

from __future__ import annotations

import numpy as np

from mien.directions.contract import Labelled
from mien.types import Attributes, Directions, Latent, is_orthonormal


def latent(values: np.ndarray) -> Latent:
    return Latent(np.asarray(values, np.float32), "z", "toy@0")


def directions(vectors: np.ndarray, names: str = "ABCDEFGH", unit: float = 1.0) -> Directions:
    """Directions of any columns, scaled to length 1."""
    columns = np.asarray(vectors / np.linalg.norm(vectors, axis=0), np.float32)
    zero, one = np.zeros(columns.shape[1], np.float32), np.ones(columns.shape[1], np.float32)
    known = tuple(names[: columns.shape[1]])
    return Directions(
        known, columns, zero, -one, one, unit * one, "z", "toy@0", is_orthonormal(columns)
    )


def labelled(latents: np.ndarray, table: np.ndarray, names: str = "ABCDEFGH") -> Labelled:
    known = tuple(names[: table.shape[1]])
    return Labelled(latent(latents), Attributes(known, table.astype(np.int8)))


def correlated(count: int = 3000, size: int = 6, seed: int = 0) -> Labelled:
    """A moves axis 0, B moves axis 1, and B goes with A in 9 of 10 faces; the rest is noise."""
    generator = np.random.default_rng(seed)
    first = np.where(generator.random(count) < 0.5, 1, -1)
    second = np.where(generator.random(count) < 0.9, first, -first)
    values = generator.normal(0, 1, (count, size))
    values[:, 0] += 2 * first
    values[:, 1] += 2 * second
    return labelled(values, np.stack([first, second], axis=1))


class Affine:
    """A space with one style layer of random weights for each row of a latent."""

    def __init__(self, size: int, rows: int = 1, outputs: int = 12) -> None:
        generator = np.random.default_rng(0)
        self.weights = generator.normal(size=(rows, outputs, size)).astype(np.float32)

    def style_weights(self) -> list[np.ndarray]:
        return list(self.weights)

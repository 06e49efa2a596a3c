"""Pairs and changes of values that several layouts share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mien.published._table import Pair


def both(names: Mapping[str, str]) -> list[Pair]:
    """Pairs of weight and bias."""
    parts = ("weight", "bias")
    return [Pair(f"{a}.{part}", f"{b}.{part}") for a, b in names.items() for part in parts]


def label_weight(labels: int) -> Pair:
    """genforce's [classes, D], which is not scaled by 1 / sqrt(classes) when it is used."""
    gain = np.float32(labels**0.5)
    return Pair(
        "mapping.label_weight", "mapping.embed.weight", lambda a: a.T * gain, lambda a: a.T / gain
    )


def scalar(array: np.ndarray) -> np.ndarray:
    """[1] -> []."""
    return array.reshape(())


def vector(array: np.ndarray) -> np.ndarray:
    """[] -> [1]."""
    return array.reshape(1)


def first(array: np.ndarray) -> np.ndarray:
    """[1, ...] -> [...]."""
    return np.asarray(array[0])


def lead(array: np.ndarray) -> np.ndarray:
    """[...] -> [1, ...]."""
    return array[None]


def plane(array: np.ndarray) -> np.ndarray:
    """[1, 1, s, s] -> [s, s]."""
    return np.asarray(array[0, 0])


def lifted(array: np.ndarray) -> np.ndarray:
    """[s, s] -> [1, 1, s, s]."""
    return array[None, None]


def flip(array: np.ndarray) -> np.ndarray:
    """Both spatial axes reversed, as a transposed convolution's kernel is to a convolution's."""
    return array[..., ::-1, ::-1]


def blur_kernel(channels: int) -> np.ndarray:
    """[1, 2, 1] x [1, 2, 1] / 16 for each channel, float32 [C, 1, 3, 3]."""
    line = np.array([0.25, 0.5, 0.25], np.float32)
    return np.broadcast_to(np.outer(line, line), (channels, 1, 3, 3)).copy()

"""Resample a picture under an affine map, antialiased, and small affine maths.

A matrix is float64 [2, 3] and maps (x, y, 1); pixel centres lie at integer
+ 0.5, so that the picture spans [0, width] x [0, height].
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

MARGIN = 4  # source pixels around the region, for the bicubic kernel


def invert(matrix: np.ndarray) -> np.ndarray:
    """The inverse of an affine map [2, 3]."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The affine map [2, 3] that applies `inner` first."""
    shift = outer[:, :2] @ inner[:, 2] + outer[:, 2]
    return np.column_stack([outer[:, :2] @ inner[:, :2], shift])


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points [N, 2] under an affine map [2, 3]."""
    mapped: np.ndarray = points @ matrix[:, :2].T + matrix[:, 2]
    return mapped


def corners(width: float, height: float) -> np.ndarray:
    """float64 [4, 2]: upper left, lower left, lower right, upper right of a picture."""
    return np.array([(0, 0), (0, height), (width, height), (width, 0)], np.float64)


def warp(picture: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """float32 [height, width, C]: `picture` (uint8 or float32 [H, W, C]) seen through `matrix`.

    `matrix` maps picture coordinates to coordinates of the result, whose size
    is (width, height). Where the map shrinks, the picture is first averaged
    over whole blocks and then sampled finer than asked and reduced, so that
    nothing aliases; beyond its border the picture continues with its edge pixels.
    """
    back = invert(matrix)
    block, finer = _factors(math.sqrt(abs(float(np.linalg.det(back[:, :2])))))
    region, origin = _region(picture, apply(back, corners(*size)), block)
    to_region = np.array([[1 / block, 0, -origin[0] / block], [0, 1 / block, -origin[1] / block]])
    from_finer = np.array([[1 / finer, 0, 0], [0, 1 / finer, 0]])
    sampling = compose(compose(to_region, back), from_finer)
    channels = [
        _sample(np.ascontiguousarray(region[:, :, i]), block, sampling, size, finer)
        for i in range(region.shape[2])
    ]
    return np.stack(channels, axis=2)


def _factors(scale: float) -> tuple[int, int]:
    """(block, finer) for `scale` source pixels a result pixel: average, then oversample."""
    block = max(1, int(scale / 2))
    return block, max(1, math.ceil(scale / block - 1e-6))


def _region(
    picture: np.ndarray, outline: np.ndarray, block: int
) -> tuple[np.ndarray, tuple[int, int]]:
    """The part of the picture under `outline`, a whole number of blocks, edges repeated."""
    height, width = picture.shape[:2]
    margin = MARGIN * block
    left, top = (math.floor(v) - margin for v in outline.min(axis=0))
    right, bottom = (math.ceil(v) + margin for v in outline.max(axis=0))
    columns = np.arange(left, right + (left - right) % block)
    rows = np.arange(top, bottom + (top - bottom) % block)
    part = picture[np.clip(rows, 0, height - 1)][:, np.clip(columns, 0, width - 1)]
    return part, (left, top)


def _sample(
    channel: np.ndarray, block: int, sampling: np.ndarray, size: tuple[int, int], finer: int
) -> np.ndarray:
    image = Image.fromarray(channel)
    if block > 1:
        image = image.reduce(block)
    image = image.convert("F").transform(
        (size[0] * finer, size[1] * finer),
        Image.Transform.AFFINE,
        tuple(sampling.ravel().tolist()),
        Image.Resampling.BICUBIC,
    )
    if finer > 1:
        image = image.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(image)

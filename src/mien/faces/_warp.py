"""Resample a picture under an affine map, antialiased, and small affine maths.

A matrix is float64 [2, 3] and maps (x, y, 1); pixel centres lie at integer
+ 0.5, so that the picture spans [0, width] x [0, height].
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

CUBIC = Image.Resampling.BICUBIC
MARGIN = 4  # blocks around the sampled region, for the bicubic kernel
RIM = 2  # result pixels sampled beyond each border, so that the reduction's kernel is whole there


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


def corners(width: float, height: float, rim: float = 0) -> np.ndarray:
    """float64 [4, 2]: upper left, lower left, lower right, upper right of a picture, `rim` out."""
    left, top, right, bottom = -rim, -rim, width + rim, height + rim
    return np.array([(left, top), (left, bottom), (right, bottom), (right, top)], np.float64)


def warp(picture: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """float32 [height, width, C]: `picture` (uint8 or float32 [H, W, C]) seen through `matrix`.

    `matrix` maps picture coordinates to coordinates of the result, whose size
    is (width, height). Cubic (Keys, a = -1/2), antialiased where the map
    shrinks; beyond its border the picture continues with its edge pixels.
    """
    back = invert(matrix)
    steps = _steps(math.sqrt(abs(float(np.linalg.det(back[:, :2])))))
    block = steps[0]
    region, origin = _region(picture, apply(back, corners(*size, RIM)), block)
    to_region = np.array([[1 / block, 0, -origin[0] / block], [0, 1 / block, -origin[1] / block]])
    channels = [
        _sample(np.ascontiguousarray(region[:, :, i]), compose(to_region, back), steps, size)
        for i in range(region.shape[2])
    ]
    return np.stack(channels, axis=2)


def _steps(scale: float) -> tuple[int, int, int]:
    """(block, enlarged, finer) for `scale` source pixels a result pixel.

    The source is averaged over blocks and enlarged with the cubic kernel, so
    that sampling it linearly, finer than asked, loses nothing; then the samples
    are reduced. (Pillow's own cubic transform has a = -1: it ripples.)
    """
    block = max(1, int(scale / 2))
    rest = scale / block
    return block, max(2, math.ceil(1 / rest)), max(1, math.ceil(rest - 1e-6))


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
    channel: np.ndarray, back: np.ndarray, steps: tuple[int, int, int], size: tuple[int, int]
) -> np.ndarray:
    """One channel [H, W] of the region; `back` maps result to block coordinates."""
    block, enlarged, finer = steps
    image = Image.fromarray(channel)
    image = (image.reduce(block) if block > 1 else image).convert("F")
    image = image.resize((image.width * enlarged, image.height * enlarged), CUBIC)
    width, height = ((side + 2 * RIM) * finer for side in size)
    from_finer = np.array([[1 / finer, 0, -RIM], [0, 1 / finer, -RIM]])
    sampling = enlarged * compose(back, from_finer)
    image = image.transform(
        (width, height),
        Image.Transform.AFFINE,
        tuple(sampling.ravel().tolist()),
        Image.Resampling.BILINEAR,
    )
    rim = RIM * finer
    return np.asarray(image.resize(size, CUBIC, (rim, rim, width - rim, height - rim)))

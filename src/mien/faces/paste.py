"""Put an edited face back into its photo at the photo's own resolution."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageFilter

from mien.checks import check_shape
from mien.errors import BadInput
from mien.faces._warp import apply, corners, invert, warp
from mien.types import Face

FEATHER = 0.3  # of half the square: the face itself lies inside the full part
ROUND = 4  # exponent of the mask's superellipse: a square with round corners
KEPT, REPLACED = 0.06, 0.35  # change of a pixel (range [-1, 1]) that keeps / replaces the photo
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's mode L
COARSE = 32  # side of the map of changes: finer edges would show as seams


def paste(
    photo: np.ndarray, face: Face, edited: np.ndarray, reconstruction: np.ndarray | None = None,
    soft: bool = False,
) -> np.ndarray:  # fmt: skip
    """The photo with the edited face in it: uint8 [H, W, 3], untouched outside the mask.

    photo: uint8 [H, W, 3]. edited, reconstruction: float32 [3, S, S] in [-1, 1],
    in the frame of `face`, at its size. Without `reconstruction` the edited
    face replaces the photo under a feathered mask. With it (the decoded face
    before the edit) the photo keeps its own detail: edited + (photo -
    reconstruction) * keep, where keep falls from 1 to 0 as the edit changes
    more; where nothing was edited the photo comes back unchanged. soft: the edit draws no
    detail of its own, so that keep is 1 everywhere. A photo without colour stays without.
    """
    _check(photo, face, edited, reconstruction)
    size = edited.shape[-1]
    result = photo.copy()
    box = covered(photo, face.matrix, size)
    if box is None:
        return result
    left, top, right, bottom = box
    region = photo[top:bottom, left:right].astype(np.float32)
    to_region = invert(face.matrix) - np.array([[0, 0, left], [0, 0, top]])
    drawn = _drawn(region, edited, reconstruction, to_region, soft)
    if not np.ptp(region, axis=2).any():
        drawn = np.repeat(drawn @ LUMA, 3).reshape(drawn.shape)
    mask = _mask(face.matrix, size, box)[:, :, None]
    blended = np.rint(region + mask * (drawn - region))
    result[top:bottom, left:right] = np.clip(blended, 0, 255).astype(np.uint8)
    return result


def mask_of(photo: np.ndarray, face: Face) -> np.ndarray:
    """float32 [H, W] in [0, 1]: how much of each pixel of the photo `paste` may replace."""
    size = face.pixels.shape[-1]
    mask = np.zeros(photo.shape[:2], np.float32)
    box = covered(photo, face.matrix, size)
    if box is not None:
        left, top, right, bottom = box
        mask[top:bottom, left:right] = _mask(face.matrix, size, box)
    return mask


def _check(
    photo: np.ndarray, face: Face, edited: np.ndarray, reconstruction: np.ndarray | None
) -> None:
    check_shape(photo, (None, None, 3), "photo")
    if photo.dtype != np.uint8:
        raise BadInput(f"photo is {photo.dtype}, expected uint8 RGB")
    check_shape(edited, face.pixels.shape, "edited face")
    if reconstruction is not None:
        check_shape(reconstruction, face.pixels.shape, "reconstruction")


def covered(photo: np.ndarray, matrix: np.ndarray, size: int) -> tuple[int, int, int, int] | None:
    """left, top, right, bottom of the part of the photo under the face; None when outside.

    photo: [H, W, ...]. matrix: float64 [2, 3], photo to a face of `size` pixels.
    """
    outline = apply(invert(matrix), corners(size, size))
    height, width = photo.shape[:2]
    left, top = (max(0, math.floor(v)) for v in outline.min(axis=0))
    right = min(width, math.ceil(outline[:, 0].max()))
    bottom = min(height, math.ceil(outline[:, 1].max()))
    return (left, top, right, bottom) if left < right and top < bottom else None


def _drawn(
    region: np.ndarray,
    edited: np.ndarray,
    reconstruction: np.ndarray | None,
    to_region: np.ndarray,
    soft: bool,
) -> np.ndarray:
    """float32 [h, w, 3] in [0, 255]: what the photo's region would be without a mask."""
    size = (region.shape[1], region.shape[0])
    upsampled = warp(_to_bytes_range(edited), to_region, size)
    if reconstruction is None:
        return upsampled
    before = warp(_to_bytes_range(reconstruction), to_region, size)
    if soft:
        return np.asarray(region + (upsampled - before))
    keep = np.clip(warp(_keep(edited, reconstruction)[:, :, None], to_region, size), 0, 1)
    # edited + (photo - reconstruction) * keep, in the order that cancels exactly without an edit
    return np.asarray(region * keep + before * (1 - keep) + (upsampled - before))


def _keep(edited: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """float32 [S, S] in [0, 1]: 1 where the edit changes little, 0 where it changes much."""
    change = np.abs(edited - reconstruction).max(axis=0).astype(np.float32)
    size = (change.shape[1], change.shape[0])
    widened = Image.fromarray(change).filter(ImageFilter.MaxFilter(5))
    coarse = widened.resize((COARSE, COARSE), Image.Resampling.BILINEAR)
    smooth = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC))
    return 1 - _smoothstep((smooth - KEPT) / (REPLACED - KEPT))


def _mask(matrix: np.ndarray, size: int, box: tuple[int, int, int, int]) -> np.ndarray:
    """float32 [h, w]: 1 inside the face, smoothly 0 at the border of its square and beyond."""
    left, top, right, bottom = box
    x = np.arange(left, right, dtype=np.float32)[None, :] + 0.5
    y = np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5
    u, v = ((row[0] * x + row[1] * y + row[2]) * (2 / size) - 1 for row in matrix.astype("f4"))
    radius = (u**ROUND + v**ROUND) ** (1 / ROUND)  # 1 on the border of the square
    return _smoothstep((1 - radius) / FEATHER)


def _smoothstep(values: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, and 3 t^2 - 2 t^3 between: no edge at either end."""
    t = np.clip(values, 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def _to_bytes_range(face: np.ndarray) -> np.ndarray:
    """float32 [3, S, S] in [-1, 1] -> [S, S, 3] in [0, 255]."""
    return np.ascontiguousarray((face.transpose(1, 2, 0) + 1) * 127.5, np.float32)

"""Cut an aligned face out of a frame and put a changed one back, as `mien.faces` does, faster.

What `faces.paste` blends in the photo is blended here at the face's own size, as colour
times opacity, so that one warp of four channels brings it into the frame.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from mien.checks import check_shape
from mien.faces._warp import invert
from mien.faces.paste import COARSE, KEPT, LUMA, REPLACED, covered, mask_of
from mien.live._cv2 import cv2
from mien.types import Face

FINEST = 8  # samples a face pixel and axis, at most
LARGEST = 4  # times a patch is enlarged with the cubic kernel, at most; linearly from there


def cut(pixels: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """The face float32 [3, size, size] in [-1, 1] under `matrix` (see pose.py).

    pixels: uint8 [H, W, 3]. Antialiased; beyond the frame its edge is repeated.
    """
    to_face = matrix * size
    step = 1 / math.sqrt(abs(float(np.linalg.det(to_face[:, :2]))))  # frame pixels a face pixel
    finer = min(max(1, math.ceil(step)), FINEST)
    kernel = cv2().INTER_CUBIC if step < 1 else cv2().INTER_LINEAR
    side = size * finer
    sampled = cv2().warpAffine(
        pixels, _centred(to_face * finer), (side, side), flags=kernel,
        borderMode=cv2().BORDER_REPLICATE,
    )  # fmt: skip
    if finer > 1:
        sampled = cv2().resize(sampled, (size, size), interpolation=cv2().INTER_AREA)
    face = np.ascontiguousarray(sampled.transpose(2, 0, 1), np.float32)
    face /= 127.5
    face -= 1
    return face


def put_back(
    pixels: np.ndarray, matrix: np.ndarray, after: np.ndarray, before: np.ndarray,
    soft: bool = False,
) -> None:  # fmt: skip
    """Change `pixels` (uint8 [H, W, 3]) in place where the face changed.

    after, before: float32 [3, S, S] in [-1, 1], the face changed and unchanged. As in
    `faces.paste`, the frame keeps its own detail where little changed, all of it if the change
    is `soft`, and is untouched outside the face's square.
    """
    check_shape(before, after.shape, "unchanged face")
    size = after.shape[-1]
    to_face = matrix * size
    box = covered(pixels, to_face, size)
    if box is None:
        return
    left, top, right, bottom = box
    region = pixels[top:bottom, left:right]
    patch = _patch(after, before, soft)
    if np.array_equal(region[:, :, 0], region[:, :, 1]) and np.array_equal(
        region[:, :, 0], region[:, :, 2]
    ):  # a frame without colour stays without
        patch[:, :, :3] = (patch[:, :, :3] @ LUMA)[:, :, None]
    to_region = invert(to_face) - np.array([[0, 0, left], [0, 0, top]])
    drawn = _warped(patch, to_region, (right - left, bottom - top))
    kept = cv2().cvtColor(np.ascontiguousarray(1 - drawn[:, :, 3]), cv2().COLOR_GRAY2BGR)
    blended = cv2().multiply(region.astype(np.float32), kept, dst=kept)
    blended = cv2().add(blended, cv2().cvtColor(drawn, cv2().COLOR_BGRA2BGR), dst=blended)
    region[:] = cv2().convertScaleAbs(cv2().max(blended, 0.0))  # rounds and clips


def _patch(after: np.ndarray, before: np.ndarray, soft: bool) -> np.ndarray:
    """float32 [S, S, 4]: what is added to the frame, and the share of the frame that goes.

    paste.py's frame + mask * (frame * keep + before * (1 - keep) + after - before - frame)
    is frame * (1 - gone) + mask * (after - before) + gone * before, gone = mask * (1 - keep).
    """
    change = (after - before).transpose(1, 2, 0) * np.float32(127.5)
    mask = _mask(after.shape[-1])[:, :, None]
    largest = np.abs(change).max(axis=2) / np.float32(127.5)
    gone = mask * (np.zeros_like(largest) if soft else _replaced(largest))[:, :, None]
    was = (before.transpose(1, 2, 0) + 1) * np.float32(127.5)
    return np.concatenate([mask * change + gone * was, gone], axis=2)


def _replaced(change: np.ndarray) -> np.ndarray:
    """float32 [S, S] in [0, 1]: 0 where the edit changes little, 1 where it changes much."""
    size = (change.shape[1], change.shape[0])
    widened = cv2().dilate(change, np.ones((5, 5), np.uint8))
    coarse = cv2().resize(widened, (COARSE, COARSE), interpolation=cv2().INTER_AREA)
    smooth = cv2().resize(coarse, size, interpolation=cv2().INTER_CUBIC)
    t = np.clip((smooth - KEPT) / (REPLACED - KEPT), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


@cache
def _mask(size: int) -> np.ndarray:
    """float32 [size, size]: what `faces.paste` may replace of a face seen straight on."""
    straight = Face(np.zeros((3, size, size), np.float32), np.eye(2, 3), "celeba")
    return mask_of(np.zeros((size, size, 3), np.uint8), straight)


def _warped(patch: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """float32 [h, w, 4] of a patch under `matrix`, nothing beyond its border.

    The patch is brought near its final scale first (cubic, or averaged), so that
    sampling it linearly loses little and costs a quarter of sampling it cubically.
    """
    scale = math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))
    before = patch.shape[0]
    side = before * min(math.ceil(scale), LARGEST) if scale > 1 else max(1, round(before * scale))
    if side != before:
        kernel = cv2().INTER_CUBIC if side > before else cv2().INTER_AREA
        patch = cv2().resize(patch, (side, side), interpolation=kernel)
        matrix = matrix * np.array([before / side, before / side, 1])
    return np.asarray(cv2().warpAffine(patch, _centred(matrix), size, flags=cv2().INTER_LINEAR))


def _centred(matrix: np.ndarray) -> np.ndarray:
    """The same map for pixel centres at integers, as OpenCV counts them."""
    shift = matrix[:, :2] @ np.array([0.5, 0.5]) + matrix[:, 2] - 0.5
    return np.column_stack([matrix[:, :2], shift])

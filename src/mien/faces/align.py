"""Bring a face into the frame its models were trained on, and know the way back.

Two frames: CelebA's (similarity transform on five landmarks to the square crop
of the aligned CelebA photos) and FFHQ's (oriented square from 68 landmarks).
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from mien.checks import check_finite, check_shape
from mien.errors import BadInput
from mien.faces._ffhq import cut, find_quad
from mien.faces._warp import invert, warp
from mien.faces.detect import Detection, landmarks68
from mien.types import Face

FRAMES = ("celeba", "ffhq")

# Where dlib's five landmarks lie in CelebA's crop (0, 20, 178, 198), in units of its side,
# from its upper left corner: medians over the first 600 train photos, measured by
# `python -m tests.faces.reference CELEBA_FOLDER`.
REFERENCE = np.array(
    [
        (0.64962, 0.52220),  # eye on the right side of the picture, outer corner
        (0.56365, 0.52678),  # its inner corner
        (0.35038, 0.52168),  # eye on the left side, outer corner
        (0.43588, 0.52674),  # its inner corner
        (0.49847, 0.69053),  # base of the nose
    ]
)


def align_celeba(photo: np.ndarray, landmarks5: np.ndarray, size: int) -> Face:
    """The face in CelebA's frame at any size, antialiased.

    photo: uint8 [H, W, 3] RGB. landmarks5: [5, 2] as in Detection. Beyond the
    photo its edge pixels are repeated, as in CelebA itself. Raises BadInput
    when the landmarks coincide.
    """
    _check(photo, size)
    check_shape(landmarks5, (5, 2), "landmarks")
    points = np.asarray(landmarks5, np.float64) + 0.5  # dlib counts pixel centres at integers
    matrix = similarity(points, REFERENCE * size)
    pixels = warp(photo, matrix, (size, size))
    return Face(_to_face(pixels), matrix, "celeba")


def align_ffhq(
    photo: np.ndarray, landmarks68: np.ndarray, size: int, transform_size: int | None = None
) -> Face:
    """The face in FFHQ's frame at any size.

    photo: uint8 [H, W, 3] RGB. landmarks68: [68, 2] in dlib's order, pixel
    centres at integers. transform_size: pixels of the first sampling, `size`
    as in the pSp and e4e encoders unless given (the data set itself: 4096 for
    1024). Raises BadInput when the landmarks span no face or lie outside the photo.
    """
    _check(photo, size)
    finer = size if transform_size is None else transform_size
    image, sampled = cut(photo, find_quad(landmarks68), size, finer)
    upper_left, lower_left, _, upper_right = sampled
    to_photo = np.column_stack(
        [(upper_right - upper_left) / size, (lower_left - upper_left) / size, upper_left]
    )
    return Face(_to_face(np.asarray(image, np.float32)), invert(to_photo), "ffhq")


def find_pose(photo: np.ndarray, detection: Detection, frame: str) -> np.ndarray:
    """Where a detected face lies: float64 [2, 3], photo to the unit square of its frame.

    Times S it is the matrix of a Face of S pixels. photo: uint8 [H, W, 3]. Raises
    BadInput when the landmarks span no face.
    """
    if frame == "ffhq":
        upper_left, lower_left, _, upper_right = find_quad(landmarks68(photo, detection)).corners
        sides = [upper_right - upper_left, lower_left - upper_left, upper_left + 0.5]
        return invert(np.column_stack(sides))
    return similarity(detection.landmarks + 0.5, REFERENCE)


def aligned_face(photo: np.ndarray, size: int, frame: str = "celeba") -> Face:
    """An image that is aligned already: its centre square, resized with antialiasing.

    For CelebA's 178x218 photos the centre square is exactly CelebA's crop.
    """
    _check(photo, size)
    height, width = photo.shape[:2]
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    image = Image.fromarray(photo).resize((size, size), Image.Resampling.BICUBIC, box=box)
    scale = size / side
    matrix = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]], np.float64)
    return Face(_to_face(np.asarray(image)), matrix, frame)


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The rotation, uniform scale and shift that bring `source` nearest to `target`.

    source, target: [N, 2]; result float64 [2, 3]. Least squares without
    reflection: Umeyama (PAMI 1991) in the plane, where points are complex
    numbers and the map z -> a z + b has the closed form a = <s, t> / <s, s>.
    Raises BadInput when the source points coincide.
    """
    check_finite(source, "landmarks")
    s = source[:, 0] + 1j * source[:, 1]
    t = target[:, 0] + 1j * target[:, 1]
    centred = s - s.mean()
    spread = float(np.vdot(centred, centred).real)
    if spread < 1e-6 * len(s):
        raise BadInput("the landmarks lie too close together to be a face")
    a = np.vdot(centred, t - t.mean()) / spread
    b = t.mean() - a * s.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def _check(photo: np.ndarray, size: int) -> None:
    check_shape(photo, (None, None, 3), "photo")
    if photo.dtype != np.uint8:
        raise BadInput(f"photo is {photo.dtype}, expected uint8 RGB")
    if size < 1:
        raise BadInput(f"size is {size}, expected at least 1 pixel")


def _to_face(pixels: np.ndarray) -> np.ndarray:
    """[S, S, 3] in [0, 255] -> float32 [3, S, S] in [-1, 1]."""
    face = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)
    face /= 127.5
    face -= 1
    return np.clip(face, -1, 1, out=face)

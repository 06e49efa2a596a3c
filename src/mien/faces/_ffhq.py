"""The FFHQ alignment: an oriented square around eyes and mouth, cut out with soft borders.

Karras et al., "A Style-Based Generator Architecture for Generative Adversarial
Networks" (CVPR 2019), appendix A, in the form that the pSp and e4e encoders use.
Landmarks and quads count pixel centres at integers, as dlib does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mien.checks import check_finite, check_shape
from mien.errors import BadInput

LEAST = 8.0  # side of the quad in pixels below which there is nothing to cut out


@dataclass(frozen=True)
class Quad:
    """The oriented square of a face.

    corners: float64 [4, 2], upper left, lower left, lower right, upper right.
    side: its length, from the landmarks and not from the corners, so that
    rounding cannot move the steps that depend on it.
    """

    corners: np.ndarray
    side: float

    def moved(self, shift: np.ndarray) -> Quad:
        """The same square in a picture that begins elsewhere."""
        return Quad(self.corners + shift, self.side)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Whole pixels (int [2]) below and above all corners."""
        low, high = np.floor(self.corners.min(axis=0)), np.ceil(self.corners.max(axis=0))
        return low.astype(int), high.astype(int)


def find_quad(landmarks: np.ndarray) -> Quad:
    """The crop that FFHQ takes around 68 landmarks [68, 2] in dlib's order.

    Raises BadInput when they span no face.
    """
    check_shape(landmarks, (68, 2), "landmarks")
    points = np.asarray(landmarks, np.float64)
    check_finite(points, "landmarks")
    left, right = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    eyes, mouth = (left + right) / 2, (points[48] + points[54]) / 2
    across, down = right - left, mouth - eyes
    x = across - _turned(down)
    length = np.hypot(*x)
    half = max(2 * np.hypot(*across), 1.8 * np.hypot(*down))
    if not length > 0 or 2 * half < LEAST:
        raise BadInput("the landmarks lie too close together to be a face")
    x = x / length * half
    y = _turned(x)
    centre = eyes + 0.1 * down
    square = np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])
    return Quad(square, float(np.hypot(*x)) * 2)


def cut(photo: np.ndarray, quad: Quad, size: int, finer: int) -> tuple[Image.Image, np.ndarray]:
    """(crop of `finer` pixels reduced to `size`, its corners float64 [4, 2] in the photo).

    The corners are those really sampled, pixel centres at integer + 0.5.
    """
    image, quad, scale = _shrink(Image.fromarray(photo), quad, size)
    border = max(round(quad.side * 0.1), 3)
    image, offset = _crop(image, quad, border)
    quad = quad.moved(-offset)
    pad = _missing(image, quad, border)
    if max(pad) > border - 4:
        pad = np.maximum(pad, round(quad.side * 0.3))
        image = _padded(image, pad, quad.side * 0.02)
        quad = quad.moved(pad[:2])
        offset = offset - pad[:2]
    sampled = quad.corners + 0.5
    outline = tuple(sampled.ravel().tolist())
    face = image.transform((finer, finer), Image.Transform.QUAD, outline, Image.Resampling.BILINEAR)
    if finer != size:
        face = face.resize((size, size), Image.Resampling.LANCZOS)
    return face, (sampled + offset) * scale


def _turned(vector: np.ndarray) -> np.ndarray:
    """A quarter turn in image coordinates (y down)."""
    return np.array([-vector[1], vector[0]])


def _shrink(image: Image.Image, quad: Quad, size: int) -> tuple[Image.Image, Quad, np.ndarray]:
    """Shrink a large photo by a whole factor; also the factors [2] that were really reached."""
    factor = math.floor(quad.side / size * 0.5)
    if factor <= 1:
        return image, quad, np.ones(2)
    width, height = image.size
    smaller = (max(1, round(width / factor)), max(1, round(height / factor)))
    scale = np.array([width / smaller[0], height / smaller[1]])
    shrunk = Quad(quad.corners / factor, quad.side / factor)
    return image.resize(smaller, Image.Resampling.LANCZOS), shrunk, scale


def _crop(image: Image.Image, quad: Quad, border: int) -> tuple[Image.Image, np.ndarray]:
    """(the part of the picture around the quad, its upper left corner int [2])."""
    low, high = quad.bounds()
    low = np.maximum(low - border, 0)
    high = np.minimum(high + border, image.size)
    if (high - low < 2).any():
        raise BadInput("the landmarks lie outside the photo")
    return image.crop((int(low[0]), int(low[1]), int(high[0]), int(high[1]))), low


def _missing(image: Image.Image, quad: Quad, border: int) -> np.ndarray:
    """int [4]: pixels the picture lacks at left, top, right and bottom."""
    low, high = quad.bounds()
    lacking = np.concatenate([border - low, high + border - np.array(image.size)])
    return np.asarray(np.maximum(lacking, 0))


def _padded(image: Image.Image, pad: np.ndarray, sigma: float) -> Image.Image:
    """Reflect the borders, blurred and then fading to the median colour outwards."""
    from scipy.ndimage import gaussian_filter  # costs half a second: only faces at a border pay

    left, top, right, bottom = (int(p) for p in pad)
    widths = ((top, bottom), (left, right), (0, 0))
    pixels = np.pad(np.asarray(image, np.float32), widths, "reflect")
    ramp = _ramp(pixels.shape[:2], (left, top, right, bottom))
    blurred = gaussian_filter(pixels, (sigma, sigma, 0))
    pixels += (blurred - pixels) * np.clip(ramp * 3 + 1, 0, 1)
    pixels += (np.median(pixels, axis=(0, 1)) - pixels) * np.clip(ramp, 0, 1)
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def _ramp(shape: tuple[int, int], pad: tuple[int, int, int, int]) -> np.ndarray:
    """float32 [H, W, 1]: 1 at the outer edge, 0 where the photo begins, negative inside."""
    height, width = shape
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    across = np.minimum(x / pad[0], x[::-1] / pad[2])
    down = np.minimum(y / pad[1], y[::-1] / pad[3])
    ramp = 1 - np.minimum(across[None, :], down[:, None])
    return np.asarray(ramp[:, :, None])

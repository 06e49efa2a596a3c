"""Find faces and their landmarks with dlib.

Detector: histogram of oriented gradients (Dalal and Triggs, CVPR 2005) as
trained by dlib. Landmarks: regression trees (Kazemi and Sullivan, CVPR 2014).
Code BSL-1.0; the weights come with the package face_recognition_models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

from mien.checks import check_shape
from mien.faces._dlib import dlib, weights

FIVE = "shape_predictor_5_face_landmarks.dat"
SIXTY_EIGHT = "shape_predictor_68_face_landmarks.dat"
LONGEST = 1024  # side of the first scan: finds faces of a twelfth of the photo in 0.1 s
LIMIT = 2560  # side of the last scan, a second: finds faces of a thirtieth of the photo
ENLARGED = (1, 2, 4)  # a small photo is enlarged up to four times: dlib's window is 80 pixels
SURE = 0.25  # score: suits and patches reach 0.22, and 98 of 100 CelebA faces exceed it
CLOSE = 0.3  # of a face's width around it that its landmarks depend on
PREDICTED_WIDTH = 320  # of the face when landmarks are read; dlib rounds them to whole pixels

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels

_scanning = Lock()  # dlib's detector keeps state while it scans


@dataclass(frozen=True)
class Detection:
    """One face in a photo.

    box: left, top, right, bottom in pixels, about brows to chin.
    landmarks: float64 [5, 2] (x, y), pixel centres at integers as in dlib:
        outer and inner corner of the eye on the right side of the picture, the
        same of the eye on its left side, base of the nose.
    """

    box: Box
    landmarks: np.ndarray


def detect(photo: np.ndarray, least: int = 1) -> list[Detection]:
    """Faces in a photo (uint8 [H, W, 3] RGB), largest first; [] when there is none.

    The photo is scanned at growing sizes until `least` faces are found, so
    that small faces cost time only where they are asked for; a doubtful find
    counts only where there is no sure one. Raises MissingExtra when dlib or
    its weights are not installed.
    """
    check_shape(photo, (None, None, 3), "photo")
    sure: list[Box] = []
    doubtful: list[Box] = []
    for scale in _scales(max(photo.shape[:2])):
        found = _scan(photo, scale)
        sure = max(sure, [box for box, score in found if score >= SURE], key=len)
        doubtful = max(doubtful, [box for box, _ in found], key=len)
        if len(sure) >= least:
            break
    boxes = sorted(sure or doubtful, key=_area, reverse=True)
    return [Detection(box, _landmarks(photo, box, FIVE)) for box in boxes]


def detect_near(photo: np.ndarray, near: Box, scale: float = 1.0) -> list[Detection]:
    """Sure faces in one part of a photo at one scale, largest first: for video, where time counts.

    near: the part that is scanned, in pixels; what of it lies outside is left out. scale: photo
    pixels are shrunk by it first; faces of fewer than 80 scaled pixels are not seen.
    """
    height, width = photo.shape[:2]
    left, top = max(0, int(near[0])), max(0, int(near[1]))
    right, bottom = min(width, math.ceil(near[2])), min(height, math.ceil(near[3]))
    if right - left < 1 or bottom - top < 1:
        return []
    found = _scan(photo[top:bottom, left:right], scale)
    boxes = [_moved(box, left, top) for box, score in found if score >= SURE]
    return [
        Detection(box, _near_landmarks(photo, box))
        for box in sorted(boxes, key=_area, reverse=True)
    ]


def landmarks68(photo: np.ndarray, detection: Detection) -> np.ndarray:
    """The 68 iBUG landmarks of a detected face: float64 [68, 2], pixel centres at integers.

    Their model was trained on iBUG 300-W, whose licence excludes commercial
    use; that is why mien reads this file only for the FFHQ frame.
    """
    return _landmarks(photo, detection.box, SIXTY_EIGHT)


@cache
def _detector() -> Any:
    return dlib().get_frontal_face_detector()


@cache
def _predictor(name: str) -> Any:
    return dlib().shape_predictor(str(weights(name)))


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _moved(box: Box, x: float, y: float) -> Box:
    return box[0] + x, box[1] + y, box[2] + x, box[3] + y


def _near_landmarks(photo: np.ndarray, box: Box) -> np.ndarray:
    """Landmarks read on no more of the photo than they need, in half the time."""
    margin = CLOSE * (box[2] - box[0])
    left, top = (max(0, int(box[i] - margin)) for i in (0, 1))
    part = photo[top : int(box[3] + margin) + 1, left : int(box[2] + margin) + 1]
    points = _landmarks(part, _moved(box, -left, -top), FIVE)
    return np.asarray(points + np.array([left, top]))


def _scales(longest: int) -> list[float]:
    first = min(1.0, LONGEST / longest)
    return sorted({min(first * times, LIMIT / longest) for times in ENLARGED})


def _scan(photo: np.ndarray, scale: float) -> list[tuple[Box, float]]:
    """(box in the photo, score) of every face seen in the photo at `scale`."""
    height, width = photo.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    scaled = photo if scale == 1 else np.asarray(_resized(photo, size))
    with _scanning:
        found, scores, _ = _detector().run(np.ascontiguousarray(scaled), 0, 0.0)
    x, y = width / size[0], height / size[1]
    boxes = [(r.left() * x, r.top() * y, (r.right() + 1) * x, (r.bottom() + 1) * y) for r in found]
    return list(zip(boxes, scores, strict=True))


def _resized(photo: np.ndarray, size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC)


def _landmarks(photo: np.ndarray, box: Box, name: str) -> np.ndarray:
    """Landmarks read on the face at a common size, which also makes them finer than a pixel."""
    height, width = photo.shape[:2]
    margin = box[2] - box[0]
    left, top = (max(0, int(box[i] - margin)) for i in (0, 1))
    right = min(width, int(box[2] + margin) + 1)
    bottom = min(height, int(box[3] + margin) + 1)
    scale = PREDICTED_WIDTH / (box[2] - box[0])
    size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    scales = np.array([size[0] / (right - left), size[1] / (bottom - top)])
    origin = np.array([left, top])
    near = (np.array(box).reshape(2, 2) - origin) * scales
    (x0, y0), (x1, y1) = np.rint(near).astype(int).tolist()
    crop = np.ascontiguousarray(_resized(photo[top:bottom, left:right], size))
    shape = _predictor(name)(crop, dlib().rectangle(x0, y0, x1 - 1, y1 - 1))
    points = np.array([(p.x, p.y) for p in shape.parts()], np.float64)
    return np.asarray((points + 0.5) / scales + origin - 0.5)

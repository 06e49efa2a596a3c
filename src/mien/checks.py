"""Shape and range checks for values that enter a room."""

from __future__ import annotations

from typing import Any

import numpy as np

from mien.errors import BadInput


def check_shape(array: Any, shape: tuple[int | None, ...], name: str) -> None:
    """Raise BadInput unless `array.shape` fits `shape` (None admits any size)."""
    got = tuple(array.shape)
    fits = len(got) == len(shape) and all(
        want is None or want == size for want, size in zip(shape, got, strict=True)
    )
    if not fits:
        wanted = "[" + ", ".join("any" if s is None else str(s) for s in shape) + "]"
        raise BadInput(f"{name} has shape {list(got)}, expected {wanted}")


def check_faces(faces: np.ndarray, name: str = "faces") -> None:
    """Raise BadInput unless `faces` is float32 [N, 3, S, S] with values in [-1, 1].

    A tolerance of 1e-3 admits rounding; values in [0, 255] are refused.
    """
    check_shape(faces, (None, 3, None, None), name)
    if faces.shape[2] != faces.shape[3]:
        raise BadInput(f"{name} are {faces.shape[3]}x{faces.shape[2]}, expected square crops")
    if faces.dtype != np.float32:
        raise BadInput(f"{name} are {faces.dtype}, expected float32 in [-1, 1]")
    if faces.size and not (faces.min() >= -1.001 and faces.max() <= 1.001):
        raise BadInput(
            f"{name} span [{faces.min():.3g}, {faces.max():.3g}], expected values in [-1, 1]"
        )


def check_finite(array: np.ndarray, name: str) -> None:
    """Raise BadInput when `array` holds NaN or infinity."""
    if not np.isfinite(array).all():
        raise BadInput(f"{name} holds NaN or infinite values")

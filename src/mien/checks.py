"""Shape and range checks for values that enter a room."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

import numpy as np

from mien.errors import BadInput

SEEDS = 2**32 - 1  # the largest; every library that draws takes it
NONE: Mapping[str, float] = MappingProxyType({})


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


def check_numbers(
    options: Any, least: Mapping[str, float] = NONE, shares: Collection[str] = (),
    positive: Collection[str] = (),
) -> None:  # fmt: skip
    """Raise BadInput, naming the field, for a number that a dataclass of options cannot have.

    Whole numbers are 1 or more, all others and seeds 0 or more, unless `least` says what a
    field is at least; `shares` are 1 at most, and `positive` ones more than 0. None of them is
    infinite or NaN. Tuples hold such numbers; texts, switches and None are left alone.
    """
    for name, kind, value in _numbers(options):
        low = least.get(name, 0 if name == "seed" or "float" in kind else 1)
        high = 1 if name in shares else SEEDS if name == "seed" else math.inf
        fits = low <= value <= high and abs(value) < math.inf
        if not fits or (name in positive and value <= 0):
            raise BadInput(f"{name}={value}: give {_range(low, high, name in positive)}")


def _numbers(options: Any) -> Iterator[tuple[str, str, float]]:
    """(field, its type, number) of a dataclass, one for each number of a tuple."""
    for field in fields(options):
        value = getattr(options, field.name)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int | float) and not isinstance(number, bool):
                yield field.name, str(field.type), number


def _range(low: float, high: float, positive: bool) -> str:
    if positive:
        return "more than 0" + (f", {high:g} at most" if high < math.inf else "")
    if high < math.inf:
        return f"{low:g} to {high:.10g}"
    return "a finite number" if low == -math.inf else f"{low:g} or more"

"""A layout is a table of key pairs: read forwards it imports, backwards it exports."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.errors import BadModel

Arrays = Mapping[str, np.ndarray]
Options = Mapping[str, Any]  # keyword arguments of an original constructor
MANY = 1 << 24  # numbers; a shape that is only declared is not tried out beyond them
LARGEST = 4096  # px; no published face model has more than 1024
Change = Callable[[np.ndarray], np.ndarray]


def same(array: np.ndarray) -> np.ndarray:
    """Nothing changes."""
    return array


@dataclass(frozen=True)
class Pair:
    """One tensor under both names, and how its values change on the way."""

    theirs: str
    ours: str
    unpack: Change = same  # theirs -> ours
    pack: Change = same  # ours -> theirs
    fallback: Callable[[tuple[int, ...]], np.ndarray] | None = None  # our shape -> values if absent


@dataclass(frozen=True)
class Table:
    """All pairs of one network, and the constants a file of that layout also holds."""

    what: str  # the network, for messages
    pairs: list[Pair]
    constants: dict[str, np.ndarray]
    shapes: Mapping[str, tuple[int, ...]]  # of our tensors

    def to_ours(self, tensors: Arrays) -> dict[str, np.ndarray]:
        """Their tensors under our keys, float32.

        Raises BadModel naming a key that is missing, unexpected or of another shape.
        """
        self._check_keys(tensors)
        return {pair.ours: self._unpack(pair, tensors) for pair in self.pairs}

    def to_theirs(self, tensors: Arrays) -> dict[str, np.ndarray]:
        """Our tensors under their keys, constants included."""
        missing = [pair.ours for pair in self.pairs if pair.ours not in tensors]
        if missing:
            raise BadModel(f"{self.what} lacks {missing[0]}; it cannot be written in that layout")
        packed = {pair.theirs: pair.pack(tensors[pair.ours]) for pair in self.pairs}
        return {key: np.asarray(v, order="C") for key, v in (packed | self.constants).items()}

    def _check_keys(self, tensors: Arrays) -> None:
        wanted = {pair.theirs for pair in self.pairs}
        needed = {pair.theirs for pair in self.pairs if pair.fallback is None}
        missing = sorted(needed - tensors.keys())
        if missing:
            raise BadModel(f"{self.what} lacks {_some(missing)}; the file is incomplete")
        strange = sorted(tensors.keys() - wanted - self.constants.keys())
        if strange:
            shape = list(tensors[strange[0]].shape)
            raise BadModel(
                f"{self.what} has the unexpected key {_some(strange)} of shape {shape}; "
                "it is another kind of network"
            )

    def _unpack(self, pair: Pair, tensors: Arrays) -> np.ndarray:
        shape = self.shapes[pair.ours]
        if pair.theirs not in tensors and pair.fallback is not None:
            return pair.fallback(shape).astype(np.float32)
        array, numbers = np.asarray(tensors[pair.theirs]), math.prod(shape)
        wrong = f"{pair.theirs} of {self.what} has shape {list(array.shape)}, expected"
        if array.size != numbers and numbers > MANY:
            raise BadModel(f"{wrong} {numbers} numbers")
        want = pair.pack(np.zeros(shape, np.float32)).shape
        if array.shape != want:
            raise BadModel(f"{wrong} {list(want)}")
        return np.asarray(pair.unpack(array), np.float32, order="C")


def side(tensors: Arrays, key: str, axis: int, what: str) -> int:
    """Length of one axis of a tensor that sizes are read from; BadModel when it has none or 0."""
    if key not in tensors:
        raise BadModel(f"{what} lacks {key}; the file is incomplete or of another kind")
    shape = tensors[key].shape
    if not -len(shape) <= axis < len(shape):
        raise BadModel(f"{key} of {what} has shape {list(shape)}, which lacks axis {axis}")
    if not shape[axis]:
        raise BadModel(f"{key} of {what} has shape {list(shape)}, which is empty")
    return int(shape[axis])


def positive(options: Options, name: str, default: float) -> float:
    """One of the constructor's options; BadModel unless it is a positive number."""
    value = options.get(name, default)
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise BadModel(f"the option {name} is no positive number")
    return value


def resolutions(number: int, what: str, first: int = 4) -> list[int]:
    """That many resolutions from `first` px, each twice the one before.

    Raises BadModel beyond LARGEST: what a file lacks, such as noise maps, is made in that size.
    """
    levels = [first * 2**n for n in range(number)]
    if levels and levels[-1] > LARGEST:
        raise BadModel(f"{what} declares {levels[-1]} px, more than the {LARGEST} that mien reads")
    return levels


def count(tensors: Arrays, pattern: str, numbers: Iterable[int]) -> int:
    """How many of `pattern` with the numbers filled in are there, until the first gap."""
    found = 0
    for number in numbers:
        if pattern.format(number) not in tensors:
            return found
        found += 1
    return found


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - 1} more keys" if len(keys) > 1 else ""
    return f"{keys[0]}{more}"

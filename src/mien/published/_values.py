"""What a published file holds, as inert values: names, records, storages, tensors.

Nothing in this room imports or calls what a file names. Numbers stay views of
the file until they are asked for, so a size that a file only declares costs no memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

BFLOAT16 = "bfloat16"  # NumPy has no such type; values are widened to float32
SIMPLE = frozenset("fiub")  # kinds of NumPy types that are plain numbers
WIDEST = 8  # bytes of one: longer floats exist in NumPy, and not in model folders
LONGEST_NAME = 80


class Refused(Exception):
    """Why a file is not read: a sentence whose subject is the file."""


@dataclass(frozen=True)
class Name:
    """Something a file names, such as a class or a type of numbers; never looked up."""

    dotted: str

    def __str__(self) -> str:
        return printable(self.dotted)


@dataclass
class Record:
    """An instance of a class that was not created: what it is called and what it held."""

    kind: str
    state: dict[Any, Any] = field(default_factory=dict)


@dataclass
class Storage:
    """Numbers of one type in a row; `data` is filled once their place in the file is known."""

    dtype: str  # a NumPy code, or BFLOAT16
    count: int
    data: memoryview | None = None

    @property
    def item(self) -> int:
        """Bytes of one number."""
        return 2 if self.dtype == BFLOAT16 else np.dtype(self.dtype).itemsize

    def check(self) -> memoryview:
        """The bytes; Refused unless they are as many as declared."""
        data = self.data if self.data is not None else memoryview(b"")
        if data.nbytes != self.count * self.item:
            raise Refused(
                f"declares {self.count * self.item} bytes of numbers where it holds {data.nbytes}"
            )
        return data

    def values(self) -> np.ndarray:
        """[count], a read-only view of the file (a widened copy of bfloat16)."""
        data = self.check()
        if self.dtype == BFLOAT16:
            return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
        return np.frombuffer(data, self.dtype)


@dataclass(frozen=True)
class Tensor:
    """A strided view of a storage, as torch describes it."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def array(self) -> np.ndarray:
        """The numbers; Refused when they would lie outside the storage."""
        count = math.prod(self.shape)
        if len(self.shape) != len(self.stride) or min((0, *self.shape, *self.stride)) < 0:
            raise Refused(f"declares a tensor of shape {self.shape} with strides {self.stride}")
        reach = sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        last = self.offset + reach if count else -1
        if self.offset < 0 or count > self.storage.count or last >= self.storage.count:
            raise Refused(
                f"declares a tensor of shape {self.shape} over {self.storage.count} numbers"
            )
        numbers = self.storage.values()
        if not count:
            return np.zeros(self.shape, numbers.dtype)
        steps = [step * numbers.itemsize for step in self.stride]
        view = np.lib.stride_tricks.as_strided(
            numbers[self.offset :], self.shape, steps, writeable=False
        )
        return np.array(view, order="C")


@dataclass
class NumberType:
    """A NumPy type under construction: its code, then its byte order."""

    code: str

    def dtype(self) -> np.dtype[Any]:
        """The type; Refused unless it is a plain number."""
        try:
            found = np.dtype(self.code)
        except (TypeError, ValueError):
            raise Refused(f"holds numbers of an unknown type {printable(self.code)}") from None
        return plain_numbers(found)


@dataclass
class Array:
    """A NumPy array under construction."""

    values: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """() until it is built."""
        return () if self.values is None else self.values.shape

    def build(
        self, number: NumberType, shape: tuple[int, ...], fortran: bool, data: bytes | bytearray
    ) -> None:
        """Take the numbers; Refused unless their bytes fit the shape exactly."""
        dtype = number.dtype()
        count = math.prod(shape)
        if min((0, *shape)) < 0 or count * dtype.itemsize != len(data):
            raise Refused(f"declares an array of shape {shape} where it holds {len(data)} bytes")
        flat = np.frombuffer(data, dtype)
        self.values = flat.reshape(shape, order="F") if fortran else flat.reshape(shape)

    def array(self) -> np.ndarray:
        """The numbers."""
        if self.values is None:
            raise Refused("holds an array without numbers")
        return np.array(self.values, order="C")


Leaf = Tensor | Array
LEAVES = (Tensor, Array)
PRINTED = (str, bytes, int, float, type(None), Name, Exception, np.dtype)


def printable(text: object) -> str:
    """`text` from a file, short and without control characters, fit for a terminal.

    Of a structure only its type: lists that hold a list twice, some dozens deep, fit in a
    few bytes, and their text in no memory.
    """
    known = text if isinstance(text, PRINTED) else type(text).__name__
    shown = str(known).encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= LONGEST_NAME else shown[: LONGEST_NAME - 3] + "..."


def plain_numbers(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type; Refused unless a model folder can hold its numbers."""
    if dtype.kind not in SIMPLE or dtype.itemsize > WIDEST:
        raise Refused(f"holds {printable(dtype)}, which are not plain numbers")
    return dtype

"""NumPy's .npy and .npz, without pickled objects and within the size of the file."""

from __future__ import annotations

import ast
import math
import re
import struct
import zipfile
import zlib
from typing import Any

import numpy as np

from mien.published._names import whole
from mien.published._stream import Stream
from mien.published._torch_zip import packed, stored
from mien.published._values import Array, Refused, plain_numbers, printable

MAGIC = b"\x93NUMPY"
START = {b"\1\0": struct.Struct("<H"), b"\2\0": struct.Struct("<I"), b"\3\0": struct.Struct("<I")}
LONGEST_HEADER = 10_000
DEFLATE = 1032  # the most that deflate can shrink
LARGEST = 1 << 30  # bytes of a compressed member, unpacked


def read_npy(data: memoryview | bytes) -> Array:
    """The array of a .npy file.

    Refused for Python objects, for anything but plain numbers, and when the
    header declares other than the bytes that follow it.
    """
    start = bytes(data[:12])
    packed_length = START.get(start[6:8])
    if not start.startswith(MAGIC) or packed_length is None or len(start) < 12:
        raise Refused("has no readable NumPy header")
    (length,) = packed_length.unpack_from(start, len(MAGIC) + 2)
    begin = len(MAGIC) + 2 + packed_length.size
    try:
        head = _header(bytes(data[begin : begin + min(length, LONGEST_HEADER)]))
        dtype = np.dtype(head["descr"])
        shape, fortran = whole(head["shape"]), bool(head["fortran_order"])
    except (ValueError, TypeError, KeyError, SyntaxError, RecursionError) as error:
        raise Refused(f"has no readable NumPy header ({printable(error)})") from None
    return _array(shape, fortran, dtype, data[begin + length :])


def _header(text: bytes) -> dict[str, Any]:
    """A dictionary of literals; Python 2 wrote shapes as (1L, 512L)."""
    found = ast.literal_eval(re.sub(r"(\d)L\b", r"\1", text.decode("latin-1").strip()))
    if not isinstance(found, dict):
        raise ValueError("it is no dictionary")
    return found


def _array(
    shape: tuple[int, ...], fortran: bool, dtype: np.dtype[Any], data: memoryview | bytes
) -> Array:
    if dtype.hasobject:
        raise Refused("holds Python objects, which only running its code could read")
    plain_numbers(dtype)
    if min((0, *shape)) < 0 or math.prod(shape) * dtype.itemsize != len(data):
        raise Refused(f"declares an array of shape {shape} where it holds {len(data)} bytes")
    flat = np.frombuffer(data, dtype)
    return Array(flat.reshape(shape, order="F") if fortran else flat.reshape(shape))


def read_npz(stream: Stream, found: dict[str, zipfile.ZipInfo]) -> dict[str, Array]:
    """The arrays of a .npz file by name; `found` are the zip's members."""
    return {
        name.removesuffix(".npy"): read_npy(_unpacked(stream, info)) for name, info in found.items()
    }


def _unpacked(stream: Stream, info: zipfile.ZipInfo) -> memoryview | bytes:
    if info.compress_type != zipfile.ZIP_DEFLATED:
        return stored(stream, info)
    size, name = info.file_size, printable(info.filename)
    if size > min(LARGEST, DEFLATE * info.compress_size + DEFLATE):
        raise Refused(f"declares {size} bytes in {name}, more than its file can hold")
    try:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed(stream, info), size + 1)
    except zlib.error:
        data = b""
    if len(data) != size or zlib.crc32(data) != info.CRC:
        raise Refused(f"holds {name} damaged; fetch it again")
    return data

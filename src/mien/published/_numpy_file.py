"""NumPy's .npy and .npz, without pickled objects and within the size of the file."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.lib import format as npy

from mien.published._stream import Stream
from mien.published._torch_zip import packed, stored
from mien.published._values import SIMPLE, Array, Refused, printable

MAGIC = b"\x93NUMPY"
LONGEST_HEADER = 10_000
DEFLATE = 1032  # the most that deflate can shrink
LARGEST = 1 << 30  # bytes of a compressed member, unpacked


def read_npy(data: memoryview | bytes) -> Array:
    """The array of a .npy file.

    Refused for Python objects, for anything but plain numbers, and when the
    header declares other than the bytes that follow it.
    """
    head = io.BytesIO(data[: LONGEST_HEADER + 16])
    try:
        version = npy.read_magic(head)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, fortran, dtype = read(head, max_header_size=LONGEST_HEADER)
    except (ValueError, KeyError) as error:
        raise Refused(f"has no readable NumPy header ({printable(error)})") from None
    return _array(shape, fortran, dtype, data[head.tell() :])


def _array(
    shape: tuple[int, ...], fortran: bool, dtype: np.dtype[Any], data: memoryview | bytes
) -> Array:
    if dtype.hasobject:
        raise Refused("holds Python objects, which only running its code could read")
    if dtype.kind not in SIMPLE:
        raise Refused(f"holds {printable(dtype)}, which are not plain numbers")
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

"""torch's zip files (since 1.6): data.pkl beside one uncompressed member a storage."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from mien.published._names import storage_code
from mien.published._pickle import read_pickle
from mien.published._stream import Stream
from mien.published._values import Refused, Storage, printable

LOCAL = struct.Struct("<4s22xHH")  # a member's own header: magic, lengths of name and extra field
ENCRYPTED = 1


def members(path: Path) -> dict[str, zipfile.ZipInfo]:
    """The zip's members by name; Refused for a damaged or cut file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {info.filename: info for info in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise Refused(
            f"is a damaged or cut zip file ({printable(error)}); fetch it again"
        ) from None


def packed(stream: Stream, info: zipfile.ZipInfo) -> memoryview:
    """The bytes of a member as they lie in the file; Refused when they lie outside it."""
    magic, named, extra = LOCAL.unpack(Stream(stream.buffer, info.header_offset).view(LOCAL.size))
    if magic != b"PK\x03\x04" or info.flag_bits & ENCRYPTED:
        raise Refused(f"holds {printable(info.filename)} damaged or encrypted")
    start = info.header_offset + LOCAL.size + named + extra
    return Stream(stream.buffer, start).view(info.compress_size)


def stored(stream: Stream, info: zipfile.ZipInfo) -> memoryview:
    """The bytes of an uncompressed member, a view of the file.

    Refused when the member is compressed, lies outside the file or does not
    match its checksum (0 where torch was told to leave it out).
    """
    name = printable(info.filename)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise Refused(f"holds {name} compressed, which torch never writes; save it with torch")
    data = packed(stream, info)
    if info.CRC and zlib.crc32(data) != info.CRC:
        raise Refused(f"holds {name} damaged (wrong checksum); fetch it again")
    return data


def read_torch_zip(stream: Stream, found: dict[str, zipfile.ZipInfo]) -> Any:
    """What torch.save stored; `found` are the zip's members.

    Raises Refused for a TorchScript program and for storages that are missing
    or of another size than declared.
    """
    pickled = min((name for name in found if name.endswith("data.pkl")), key=len)
    root = pickled.removesuffix("data.pkl")
    if f"{root}constants.pkl" in found:
        raise Refused("is a TorchScript program, which mien does not run; give its state dict")
    order = found.get(f"{root}byteorder")
    if order is not None and bytes(stored(stream, order)) != b"little":
        raise Refused("was written on a big-endian machine; save it again on a usual one")
    known: dict[str, Storage] = {}

    def storage(identity: Any) -> Storage:
        kind, number, key, _place, count = _identity(identity)
        if kind != "storage" or f"{root}data/{key}" not in found:
            raise Refused(f"lacks the numbers {printable(key)}; fetch it again")
        if key not in known:
            made = Storage(storage_code(number), count)
            made.data = stored(stream, found[f"{root}data/{key}"])
            made.check()  # used or not
            known[key] = made
        return known[key]

    return read_pickle(Stream(bytes(stored(stream, found[pickled]))), storage)


def _identity(identity: Any) -> tuple[Any, ...]:
    if not isinstance(identity, tuple) or [type(identity[n]) for n in (2, 4)] != [str, int]:
        raise Refused("refers to numbers in an unknown way")
    return identity

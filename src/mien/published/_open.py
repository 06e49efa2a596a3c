"""A file's content, whatever its container; told apart by its bytes, never by its name."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import BadInput, BadModel, MienError
from mien.published import _numpy_file
from mien.published._pickle import DAMAGE, read_pickle
from mien.published._stream import Stream, open_stream
from mien.published._torch_old import MAGIC, read_network_pickle, read_torch_old, read_torch_tar
from mien.published._torch_zip import members, read_torch_zip
from mien.published._values import Refused, printable

FOREIGN = {  # beginnings of files that are often met in the place of a checkpoint
    b"<!doctype": "is a web page, not a checkpoint; open its address in a browser and confirm "
    "the download there",
    b"<html": "is a web page, not a checkpoint; open its address in a browser and confirm the "
    "download there",
    b"version https://git-lfs": "is only a git-lfs pointer; fetch the file itself with git lfs",
    b"\x1f\x8b": "is compressed with gzip; unpack it first",
    b"rar!": "is a RAR archive; unpack it first",
}
TAR_AT = 257  # where a tar file says "ustar"


@dataclass(frozen=True)
class Content:
    """The value a file holds, and the bytes of the file, which bound all that is made of it."""

    value: Any
    size: int


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Refused and every sign of damage leave as one BadModel that names the file."""
    try:
        yield
    except Refused as error:
        raise BadModel(f"{path} {error}") from error
    except MienError:  # a sentence already
        raise
    except (*DAMAGE, struct.error) as error:
        raise BadModel(f"{path} is damaged: {printable(error)}; fetch it again") from error


def open_content(path: Path) -> Content:
    """Read a file without running anything it holds.

    Raises BadInput when there is no such file and BadModel, saying why, when it
    is damaged, holds more than numbers and plain data, or is of no known format.
    """
    path = Path(path)
    if path.is_dir():
        raise BadInput(f"{path} is a folder; give the published file itself")
    if path.exists() and not path.is_file():  # a pipe would be waited for without end
        raise BadInput(f"{path} is a pipe or device; save it as a file and give that")
    with refusals(path):
        stream = open_stream(path)
        return Content(_value(stream, path), len(stream))


def _value(stream: Stream, path: Path) -> Any:
    head = bytes(stream.buffer[:512])
    for beginning, reason in FOREIGN.items():
        if head.lstrip().lower().startswith(beginning):
            raise Refused(reason)
    if head.startswith(b"PK"):
        return _zip(stream, members(path))
    if head.startswith(_numpy_file.MAGIC):
        return _numpy_file.read_npy(stream.view(len(stream)))
    if head[TAR_AT : TAR_AT + 5] == b"ustar":
        return read_torch_tar(stream, path)
    if head.startswith(b"\x80") and _first_number(stream) == MAGIC:
        return read_torch_old(Stream(stream.buffer))
    return read_network_pickle(Stream(stream.buffer))


def _zip(stream: Stream, found: dict[str, zipfile.ZipInfo]) -> Any:
    if any(name.endswith("data.pkl") for name in found):
        return read_torch_zip(stream, found)
    if found and all(name.endswith(".npy") for name in found):
        return _numpy_file.read_npz(stream, found)
    held = ", ".join(printable(name) for name in list(found)[:4])
    raise Refused(f"is an archive of files ({held}); unpack it and import one of them")


def _first_number(stream: Stream) -> int | None:
    """The number that the first pickle consists of, as torch's older files begin; else None."""
    try:
        value = read_pickle(Stream(stream.buffer[:64]))
    except Refused:
        return None
    return value if type(value) is int else None

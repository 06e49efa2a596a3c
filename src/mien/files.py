"""Atomic writes, of which a file is the old one or the whole new one, and folders for them."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from mien.errors import BadInput


@contextmanager
def atomic_open(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the name `path` only when the block ends well.

    Temp file in the same folder, fsync, rename, fsync of the folder. When the
    block raises, nothing is left behind. Raises BadInput when the folder is
    missing, not writable or full.
    """
    path = Path(path)
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise BadInput(f"cannot write {path}: {error.strerror or error}") from error
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic_open(path) as handle:
        handle.write(data)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON to `path` atomically."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def check_folder(folder: Path) -> None:
    """Raise BadInput where a file lies in the place of `folder` or of one above it.

    For what is written after long work: said before it. Nothing is made.
    """
    for place in (folder, *folder.parents):
        if place.exists() and not place.is_dir():
            raise BadInput(f"{place} is a file; choose the name of a folder")


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current

"""One writer at a time: a lock that dies with its process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mien.errors import BadGallery, BadInput


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; BadGallery at once when another writer holds it."""
    import fcntl  # missing on Windows, where a gallery can be read but not written

    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise BadInput(f"cannot write {path.parent}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BadGallery(
                f"{path.parent} is being written by another process; wait until it has ended"
            ) from error
        yield
    finally:
        os.close(descriptor)

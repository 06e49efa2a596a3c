"""A file's bytes behind a position; nothing is ever read beyond their end."""

from __future__ import annotations

import mmap
from pathlib import Path

from mien.errors import BadInput
from mien.published._values import Refused


class Stream:
    """Bytes with a position: what pickletools reads opcodes from."""

    def __init__(self, buffer: bytes | mmap.mmap, position: int = 0) -> None:
        self.buffer = buffer
        self.position = position

    def __len__(self) -> int:
        return len(self.buffer)

    def tell(self) -> int:
        """The position."""
        return self.position

    def read(self, count: int) -> bytes:
        """The next bytes, at most `count`; fewer at the end, whatever was asked for."""
        start, self.position = self.position, min(self.position + count, len(self.buffer))
        return self.buffer[start : self.position]

    def readline(self) -> bytes:
        """The next bytes up to and with a newline, or to the end."""
        found = self.buffer.find(b"\n", self.position)
        return self.read((len(self.buffer) if found < 0 else found + 1) - self.position)

    def view(self, count: int) -> memoryview:
        """The next `count` bytes without copying; Refused when there are fewer."""
        if not 0 <= count <= len(self.buffer) - self.position:
            left = len(self.buffer) - self.position
            raise Refused(f"is cut short: {count} bytes are declared where {left} remain")
        start, self.position = self.position, self.position + count
        return memoryview(self.buffer)[start : self.position]


def open_stream(path: Path) -> Stream:
    """The file, mapped into memory read-only.

    Raises BadInput when it cannot be read and Refused when it is empty.
    """
    try:
        with Path(path).open("rb") as handle:
            if handle.seek(0, 2) == 0:
                raise Refused("is empty; fetch it again")
            return Stream(mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error

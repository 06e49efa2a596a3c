"""What a face leaves in files, and a search of the files' bytes for it.

The search shares no code with the readers of a gallery: it looks at every file
as it lies on the disk, and at what is packed in a zip archive once more
unpacked.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from mien.errors import BadInput

BLOCK = 1 << 24  # bytes searched at once
UNREADABLE = (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)
ANCHOR = 4  # bytes of a trace that every place of a file is compared with
TABLE = 22  # bits of the table that rules out most places
PRIME = np.uint32(0x9E3779B1)  # Knuth, "The Art of Computer Programming" 3, 6.4
SHORT = 6  # bytes; a shorter name is looked for in quotes only
LONG = 8  # bytes of numbers that are no accident elsewhere
BEFORE = re.compile(rb"[\w./\\-]")  # what stands before the rest of a longer name
AFTER = re.compile(rb"[\w/\\-]|\.\w")  # and after it; a full stop does not


@dataclass(frozen=True)
class Trace:
    """Bytes that give a face away.

    what: "id", "path", "thumbnail", "latent" or "code". text: whether it is a
    name, which does not count inside a longer one.
    """

    face: str
    what: str
    data: bytes
    text: bool = False


@dataclass(frozen=True)
class Left:
    """A trace that was found: of which face, what, and in which file."""

    face: str
    what: str
    file: str


@dataclass(frozen=True)
class Searched:
    """files: opened and read whole. bytes: in them. left: what was found."""

    files: int
    bytes: int
    left: tuple[Left, ...]


def name_traces(face: str, what: str, name: str) -> list[Trace]:
    """A name as it stands in JSON, escaped or not, and bare where it is long enough.

    One that is not UTF-8 stands there in the bytes that its file has.
    """
    spelt = {json.dumps(name, ensure_ascii=ascii) for ascii in (True, False)}
    found = [Trace(face, what, data.encode(errors="surrogateescape")) for data in spelt]
    bare = name.encode(errors="surrogateescape")
    return [*found, Trace(face, what, bare, text=True)] if len(bare) >= SHORT else found


def number_traces(face: str, what: str, rows: np.ndarray) -> list[Trace]:
    """Rows of numbers [L, D] as float64, float32 and float16, but for zeros and single numbers."""
    with np.errstate(over="ignore"):
        kinds = [rows.astype(dtype) for dtype in (np.float64, np.float32, np.float16)]
    return [piece for kind in kinds for row in kind for piece in piece_traces(face, what, row)]


def piece_traces(face: str, what: str, piece: np.ndarray) -> list[Trace]:
    """An array as it is, unless it is nothing but zeros or too short to give a face away."""
    if piece.nbytes < LONG or not piece.any():
        return []
    return [Trace(face, what, piece.tobytes())]


def search_files(
    folders: Sequence[Path],
    traces: Sequence[Trace],
    progress: Callable[[int, int, str], None] | None = None,
) -> Searched:
    """Look for `traces` in every file of some folders and of the folders in them.

    Files of the first folder are named from there, others by their whole path.
    progress(step, steps, text) is called a file. Raises BadInput for a file that
    cannot be read, for then nothing is proven.
    """
    files = sorted({path for folder in folders for path in folder.rglob("*") if path.is_file()})
    finder, left, size = _Finder(traces), dict[Left, None](), 0
    for number, path in enumerate(files):
        name = str(path.relative_to(folders[0]) if path.is_relative_to(folders[0]) else path)
        if progress is not None:
            progress(number, len(files), name)
        try:
            size += path.stat().st_size
            for place, block in _blocks_of(path, finder.longest):
                for trace in finder.found(block):
                    left[Left(trace.face, trace.what, name + place)] = None
        except UNREADABLE as error:
            raise BadInput(
                f"cannot search {path} ({error}); make it readable or take it out of the folder"
            ) from error
    return Searched(len(files), size, tuple(left))


def _blocks_of(path: Path, overlap: int) -> Iterator[tuple[str, bytes]]:
    """(place, bytes): the file in blocks, then its packed members."""
    with path.open("rb") as file:
        yield from (("", block) for block in _blocks(file, overlap))
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED:
                with archive.open(member) as unpacked:
                    for block in _blocks(unpacked, overlap):
                        yield f":{member.filename}", block


def _blocks(file: IO[bytes], overlap: int) -> Iterator[bytes]:
    """Blocks that overlap, so that no trace is cut in two, with a zero at both ends of the file."""
    kept = b"\0"
    while fresh := file.read(BLOCK):
        block = kept + fresh
        yield block
        kept = block[-overlap:]
    yield kept + b"\0\0"


class _Finder:
    """All traces in one pass: four bytes of each are looked up at every place."""

    def __init__(self, traces: Sequence[Trace]) -> None:
        self._table = np.zeros(1 << TABLE, bool)
        self._by_anchor: dict[bytes, list[tuple[int, Trace]]] = {}
        self._short = [trace for trace in traces if len(trace.data) < ANCHOR]
        self.longest = max((len(trace.data) for trace in traces), default=0) + 3
        for trace in traces:
            if len(trace.data) >= ANCHOR:
                start = (len(trace.data) - ANCHOR) // 2  # beginnings are often alike
                anchor = trace.data[start : start + ANCHOR]
                self._table[_hash(np.frombuffer(anchor, np.uint32))] = True
                self._by_anchor.setdefault(anchor, []).append((start, trace))

    def found(self, block: bytes) -> list[Trace]:
        """The traces in a block, each once."""
        hits = {id(trace): trace for trace in self._short if trace.data in block}
        if not self._by_anchor:
            return list(hits.values())
        for place in self._places(block):
            for start, trace in self._by_anchor.get(block[place : place + ANCHOR], ()):
                at = place - start
                if id(trace) not in hits and at >= 0 and block.startswith(trace.data, at):
                    if trace.text and _inside_a_name(block, at, len(trace.data)):
                        continue
                    hits[id(trace)] = trace
        return list(hits.values())

    def _places(self, block: bytes) -> Iterator[int]:
        for shift in range(ANCHOR):
            count = (len(block) - shift) // ANCHOR
            if count > 0:
                words = np.frombuffer(block, np.uint32, count, shift)
                near = np.flatnonzero(self._table[_hash(words)])
                yield from (int(place) * ANCHOR + shift for place in near)


def _hash(words: np.ndarray) -> np.ndarray:
    product: np.ndarray = (words * PRIME) >> np.uint32(32 - TABLE)
    return product


def _inside_a_name(block: bytes, start: int, length: int) -> bool:
    """Whether it is, or lies at an edge of the block, where another block shows it whole."""
    end = start + length
    if start < 1 or end + 2 > len(block):
        return True
    return bool(BEFORE.match(block, start - 1) or AFTER.match(block, end))

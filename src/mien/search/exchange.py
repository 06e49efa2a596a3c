"""A gallery as plain files, for other stores and programs, and back without encoding again.

    people.zip (or its members in a folder)
      gallery.json            format, mark, space, shape, dtype, count
      latents.npy             [count, *shape], float32 or float16, as stored
      faces.jsonl             a line a face, in the order of the latents:
                              {"id", "path", "attributes": {name: 1 or -1}, "thumbnail"}
      thumbnails/000000.jpg   optional, as are path, attributes and thumbnail of a line

NumPy reads the latents without unpacking: np.load("people.zip")["latents"].
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mien.errors import BadInput
from mien.files import atomic_open
from mien.search._manifest import DTYPES, MANIFEST
from mien.search._shard import DAMAGED, ROWS, Entries, map_member
from mien.search.gallery import Gallery
from mien.types import Attributes, Latent

Progress = Callable[[int, int, str], None]
HEAD, FACES, LATENTS, FORMAT = "gallery.json", "faces.jsonl", "latents.npy", 1


@dataclass(frozen=True)
class Imported:
    """added: faces stored. skipped: already there."""

    added: int
    skipped: int


def export_gallery(
    gallery: Gallery, path: Path, thumbnails: bool = True, progress: Progress | None = None
) -> None:
    """Write a gallery to the file `path` (.zip), atomically; only some faces are in memory.

    progress(step, steps, text) is called a shard. Raises BadInput for another
    suffix or when it cannot be written, BadGallery when a shard is damaged.
    """
    if path.suffix.lower() != ".zip":
        raise BadInput(f"{path} is no .zip; give a file such as {path.with_suffix('.zip').name}")
    tell = progress or (lambda *_: None)
    dtype = gallery.dtype
    head = {
        "format": FORMAT, "mark": gallery.mark, "space": gallery.space,
        "shape": list(gallery.shape), "dtype": dtype, "count": len(gallery),
    }  # fmt: skip
    steps = len(gallery.shards)
    with atomic_open(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(HEAD, json.dumps(head, indent=2))
        with archive.open(LATENTS, "w", force_zip64=True) as latents:
            shape = (len(gallery), *gallery.shape)
            kind = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(latents, kind)
            for shard in gallery.shards:
                latents.write(shard.mapped.tobytes())
        lines: list[str] = []
        for step, shard in enumerate(gallery.shards):
            tell(step, steps, shard.path.name)
            pictures = shard.thumbnails(shard.ids) if thumbnails else [b""] * len(shard)
            for row, picture in enumerate(pictures):
                named = f"thumbnails/{len(lines):06d}.jpg" if picture else ""
                lines.append(_line(shard.ids[row], shard.paths[row], shard.attributes, row, named))
                if picture:
                    archive.writestr(named, picture)
        archive.writestr(FACES, "".join(lines))


def import_gallery(
    folder: Path, source: Path, replace: bool = False, progress: Progress | None = None
) -> Imported:
    """Add the faces of an exported file, or of the folder it was unpacked to, to a gallery.

    The gallery is made when there is none, with latents of the source's type.
    Faces whose id is there already are skipped, so what was interrupted goes on;
    with `replace` they are exchanged. progress(step, steps, text) is called every
    500 faces. Raises BadInput for a source that is damaged, SpaceMismatch for a
    gallery of another space.
    """
    store = _Source(source)
    probe = store.entries(range(len(store.faces))[:ROWS])  # before a gallery is made of it
    if (folder / MANIFEST).exists():
        gallery = Gallery.open(folder)
    else:
        half = store.latents.dtype == np.float16
        gallery = Gallery.create(folder, store.mark, store.space, store.latents.shape[1:], half)
    added, steps = 0, -(-len(store.faces) // ROWS)
    with gallery.writing():
        gallery.check_latent(probe.latent)
        todo = [row for row, face in enumerate(store.faces) if replace or face["id"] not in gallery]
        for step, start in enumerate(range(0, len(todo), ROWS)):
            if progress is not None:
                progress(step, steps, f"{added} added")
            fresh = store.entries(todo[start : start + ROWS])
            gallery.add(fresh, replace=replace)
            added += len(fresh)
    return Imported(added, len(store.faces) - added)


class _Source:
    """An exported gallery: its head, its lines, its latents where they lie."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise BadInput(f"{path} does not exist; give what mien gallery export wrote")
        try:
            head = json.loads(self._read(HEAD))
            if head["format"] != FORMAT or head["dtype"] not in DTYPES:
                raise ValueError(f"its format is {head['format']}, of {head['dtype']}")
            self.mark, self.space = str(head["mark"]), str(head["space"])
            self.faces = [_checked(json.loads(line)) for line in self._lines()]
            self.latents = self._latents()
            counts = {len(self.latents), len(self.faces), head["count"]}
            if len(counts) != 1 or list(self.latents.shape[1:]) != head["shape"]:
                raise ValueError("its head, faces and latents differ in number or shape")
            if self.latents.dtype.name not in DTYPES or self.latents.ndim not in (2, 3):
                raise ValueError(f"its latents are {self.latents.dtype}")
            self._check_faces()
            self._check_members()
        except (*DAMAGED, TypeError, AttributeError, zlib.error) as error:
            raise self._damaged(error) from error

    def entries(self, rows: list[int] | range) -> Entries:
        """The faces of some rows."""
        faces = [self.faces[row] for row in rows]
        try:
            with self._reader() as read:
                named = [face.get("thumbnail", "") for face in faces]
                pictures = tuple(read(name) if name else b"" for name in named)
        except DAMAGED as error:
            raise self._damaged(error) from error
        values = np.asarray(self.latents[np.asarray(rows, np.int64)], np.float32)
        return Entries(
            tuple(face["id"] for face in faces),
            tuple(face.get("path", "") for face in faces),
            Latent(values, self.space, self.mark),
            _table([face.get("attributes", {}) for face in faces]),
            pictures,
        )

    @contextmanager
    def _reader(self) -> Iterator[Callable[[str], bytes]]:
        """What reads a file by its name; to open an archive takes 10 ms for 1,000 files in it."""
        if self.path.is_dir():
            yield lambda name: (self.path / name).read_bytes()
            return
        with zipfile.ZipFile(self.path) as archive:
            yield archive.read

    def _read(self, name: str) -> bytes:
        with self._reader() as read:
            return read(name)

    def _lines(self) -> Iterator[str]:
        return (line for line in self._read(FACES).decode().split("\n") if line.strip())

    def _latents(self) -> np.ndarray:
        if self.path.is_dir():
            return np.asarray(np.load(self.path / LATENTS, mmap_mode="r", allow_pickle=False))
        return map_member(self.path, LATENTS)

    def _check_faces(self) -> None:
        """Raise ValueError for faces that no gallery takes, before one is made for them."""
        ids = [face["id"] for face in self.faces]
        known = Counter(ids)
        if "" in known:
            raise ValueError(f"face {ids.index('') + 1} of {FACES} has an empty id")
        if len(known) < len(ids):
            raise ValueError(f"the id {known.most_common(1)[0][0]!r} is given twice")
        for start in range(0, len(ids), ROWS):
            rows = self.latents[start : start + ROWS]
            finite = np.isfinite(rows.reshape(len(rows), -1)).all(axis=1)
            if not finite.all():
                name = ids[start + int(finite.argmin())]
                raise ValueError(f"the latent of {name!r} holds NaN or infinite values")

    def _check_members(self) -> None:
        """Raise ValueError for a thumbnail that is not there or a file that cannot be unpacked.

        Reads all of an archive once, far faster than faces are stored.
        """
        for named in filter(None, (face.get("thumbnail") for face in self.faces)):
            if Path(named).parts[:-1] != ("thumbnails",):
                raise ValueError(f"the thumbnail {named} is not in thumbnails/")
            if named not in self._members:
                raise ValueError(f"{named} is missing")
        if self.path.is_dir():
            return
        with zipfile.ZipFile(self.path) as archive:
            torn = archive.testzip()
        if torn is not None:
            raise ValueError(f"{torn} is damaged")

    @cached_property
    def _members(self) -> set[str]:
        if self.path.is_dir():
            found = self.path.rglob("*")
            return {path.relative_to(self.path).as_posix() for path in found if path.is_file()}
        with zipfile.ZipFile(self.path) as archive:
            return set(archive.namelist())

    def _damaged(self, error: Exception) -> BadInput:
        return BadInput(f"{self.path} is no exported gallery ({error}); export it again")


def _line(name: str, path: str, attributes: Attributes, row: int, thumbnail: str) -> str:
    known = zip(attributes.names, attributes.table[row].tolist(), strict=True)
    face: dict[str, Any] = {"id": name, "path": path}
    face["attributes"] = {name: value for name, value in known if value}
    if thumbnail:
        face["thumbnail"] = thumbnail
    line = json.dumps(face, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:  # a file's name that is not UTF-8; escaped, it comes back whole
        line = json.dumps(face)
    return line + "\n"


def _checked(face: dict[str, Any]) -> dict[str, Any]:
    texts = [face["id"], face.get("path", ""), face.get("thumbnail", "")]
    values = face.get("attributes", {}).values()
    if not all(isinstance(text, str) for text in texts) or not all(v in (1, -1, 0) for v in values):
        raise ValueError(f"a face has an id, path, thumbnail or attribute that is none: {face}")
    return face


def _table(known: list[dict[str, int]]) -> Attributes:
    names = tuple(dict.fromkeys(name for face in known for name in face))
    table = np.array([[face.get(name, 0) for name in names] for face in known], np.int8)
    return Attributes(names, table.reshape(len(known), len(names)))

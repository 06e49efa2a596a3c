"""A crash-safe folder of faces: latents, ids, paths, attributes and thumbnails.

    gallery/
      manifest.json       mark, space, shape, and the shards that count
      shard-000001.npz    up to 500 faces, written once, atomically
      codes-*.npz         what `compress` made of them, for searches that read little
      parts/              what a build in several processes has finished and not yet added
      .lock               held by the one process that writes

A commit writes whole new shards, then replaces the manifest in one rename, and
only then deletes the shards it superseded. Killed at any moment, the folder
holds what was acknowledged; what a dead writer left over is not listed, never
read, and swept by the next write. Removing a face rewrites its shard, so the
face is gone from the disk and not merely hidden.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from mien.errors import BadInput, MienError, SpaceMismatch, UnknownName
from mien.search import _shard
from mien.search._code_files import Progress, open_bounds, write_codes
from mien.search._folder import LOCK, held, read_shards, sweep, sweep_parts
from mien.search._info import GalleryInfo, describe
from mien.search._lock import locked
from mien.search._manifest import MANIFEST, Manifest, read_manifest, write_manifest
from mien.search._shard import Entries, Shard, arrange, read_rows, union, widen, write_shard
from mien.search.bounds import Bounds
from mien.search.codes import CodeOptions
from mien.search.distance import decompose
from mien.types import Attributes, Latent

# cached, and stale after a write
READ = ("ids", "paths", "latent", "attributes", "places", "_starts")

__all__ = ["Entries", "Gallery", "GalleryInfo"]


class Gallery:
    """An open gallery folder; use `create` or `open`."""

    def __init__(self, folder: Path, manifest: Manifest, shards: tuple[Shard, ...]) -> None:
        self.folder = folder
        self._manifest = manifest
        self._shards = shards
        self._writing = False
        self._projections: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
        self._bounds: tuple[np.ndarray, Bounds | None] | None = None

    @classmethod
    def create(
        cls, folder: Path, mark: str, space: str, shape: Sequence[int], half: bool = False
    ) -> Gallery:
        """A new, empty gallery for latents of one space.

        mark: Latent.model; space: Latent.space; shape: of one latent, (D,) or
        (L, D); half: round latents to float16, for half the disk. Raises
        BadInput when the folder already holds something.
        """
        folder = Path(folder)
        dtype = "float16" if half else "float32"
        manifest = Manifest(mark, space, tuple(int(size) for size in shape), dtype=dtype)
        others = held(folder)
        if others and MANIFEST not in others:
            raise BadInput(f"{folder} already holds {others[0]}; give an empty or new folder")
        with locked(folder / LOCK):
            if (folder / MANIFEST).exists():
                raise BadInput(f"{folder} already is a gallery; add to it or give another folder")
            write_manifest(folder, manifest)
        return cls(folder, manifest, ())

    @classmethod
    def open(cls, folder: Path) -> Gallery:
        """The gallery as last acknowledged; BadGallery when it is none or damaged."""
        folder = Path(folder)
        manifest, shards = read_shards(folder)
        return cls(folder, manifest, shards)

    def __len__(self) -> int:
        return sum(len(shard) for shard in self._shards)

    def __contains__(self, name: object) -> bool:
        return name in self.places

    @property
    def mark(self) -> str:
        """The model its latents belong to, e.g. "vae-128@1a2b3c4d"."""
        return self._manifest.mark

    @property
    def space(self) -> str:
        """The space its latents live in, e.g. "z"."""
        return self._manifest.space

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one latent, (D,) or (L, D)."""
        return self._manifest.shape

    @property
    def dtype(self) -> str:
        """What latents are stored as, "float32" or "float16"."""
        return self._manifest.dtype

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The files that hold its faces, in their order."""
        return self._shards

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Ids [N], in the order they were added."""
        return tuple(name for shard in self._shards for name in shard.ids)

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Where each photo was [N]; "" for faces without one."""
        return tuple(path for shard in self._shards for path in shard.paths)

    @cached_property
    def latent(self) -> Latent:
        """Latents float32 [N, D] or [N, L, D]."""
        empty = np.empty((0, *self.shape), np.float32)
        values = np.concatenate([empty, *(shard.values() for shard in self._shards)])
        return Latent(values, self.space, self.mark)

    @cached_property
    def attributes(self) -> Attributes:
        """Attributes [N, M] over every name any face came with; unknown = 0."""
        names: tuple[str, ...] = ()
        for shard in self._shards:
            names = union(names, shard.attributes.names)
        empty = np.empty((0, len(names)), np.int8)
        tables = [widen(shard.attributes, names) for shard in self._shards]
        return Attributes(names, np.concatenate([empty, *tables]))

    @cached_property
    def places(self) -> dict[str, int]:
        """id -> row."""
        return {name: row for row, name in enumerate(self.ids)}

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Flat latents [n, L*D] of some rows, float32 or float16; only these are read."""
        return read_rows(self._shards, rows, self._starts)

    @cached_property
    def _starts(self) -> np.ndarray:
        return _shard.starts_of(self._shards)

    def thumbnail(self, name: str) -> bytes:
        """The stored JPEG of face `name`; UnknownName when it is not here."""
        return self.thumbnails([name])[0]

    def thumbnails(self, names: Sequence[str]) -> list[bytes]:
        """The stored JPEGs of some faces, in that order; reads each shard at most once."""
        found: dict[str, bytes] = {}
        for shard in self._shards:
            here = [name for name in names if name in shard.places]
            found.update(zip(here, shard.thumbnails(here), strict=True))
        for name in names:
            if name not in found:
                raise UnknownName("face", name, self.ids)
        return [found[name] for name in names]

    def compress(
        self,
        vectors: np.ndarray,
        options: CodeOptions | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Make the codes by which `search` along a basis [D, M] reads few latents.

        Faces added later are encoded when the gallery is opened, until this runs
        again. progress(step, steps, text) is called a shard. Raises what `fit_plan`
        raises, BadInput for an empty gallery, BadGallery while another process writes.
        """
        with self.writing():
            if not self._shards:
                raise BadInput(f"{self.folder} has no faces to compress; add some first")
            write_codes(self.folder, self._shards, vectors, options or CodeOptions(), progress)
            self._bounds = None

    def bounds(self, vectors: np.ndarray) -> Bounds | None:
        """Bounds by the codes along a basis, kept for the last one; None without codes."""
        if self._bounds is None or not np.array_equal(self._bounds[0], vectors):
            self._bounds = vectors, open_bounds(self.folder, self._shards, vectors)
        return self._bounds[1]

    def projections(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`distance.decompose` of all latents; kept for the basis last asked for."""
        key = hashlib.blake2b(np.ascontiguousarray(vectors).tobytes()).digest()
        if key not in self._projections:
            self._projections = {key: decompose(self.latent.flat, vectors)}
        return self._projections[key]

    def info(self) -> GalleryInfo:
        """Count, marks, size on disk, and how much is known of each attribute."""
        return describe(self)

    def check_latent(self, latent: Latent) -> None:
        """Raise SpaceMismatch, with the mend, unless `latent` lives where this gallery does."""
        if (latent.space, latent.model) != (self.space, self.mark):
            raise SpaceMismatch(
                f"gallery {self.folder} holds {self.space} of {self.mark}, the face is "
                f"{latent.space} of {latent.model}; use that model or build the gallery again"
            )
        if latent.values.shape[1:] != self.shape:
            raise BadInput(
                f"the face's latent has shape {list(latent.values.shape[1:])}, "
                f"gallery {self.folder} holds {list(self.shape)}; encode the face again"
            )

    def add(self, entries: Entries, replace: bool = False) -> None:
        """Store faces durably; when this returns, they survive a crash.

        With `replace`, faces already here are exchanged for the new ones;
        without, BadInput. Raises SpaceMismatch for latents of another space,
        BadGallery while another process writes. On any error, a full disk
        included, the gallery is as before.
        """
        self.check_latent(entries.latent)
        with self.writing():
            twice = [name for name in entries.ids if name in self]
            if twice and not replace:
                raise BadInput(
                    f"{self.folder} already holds {twice[0]!r}; remove it first, or replace it"
                )
            self._commit(set(twice), entries)

    def remove(self, ids: Collection[str]) -> None:
        """Delete faces from the disk; UnknownName when one is not here (none is removed)."""
        with self.writing():
            for name in ids:
                if name not in self:
                    raise UnknownName("face", name, self.ids)
            self._commit(set(ids), None)

    @contextmanager
    def writing(self, keep_parts: bool = False) -> Iterator[None]:
        """Hold the write lock over several writes; BadGallery while another process has it.

        keep_parts: go on with what a build finished; other writers delete it.
        """
        if self._writing:
            yield
            return
        with locked(self.folder / LOCK):
            self._refresh()
            sweep(self.folder, self._manifest.shards)
            if not keep_parts:
                sweep_parts(self.folder)
            self._writing = True
            try:
                yield
            finally:
                self._writing = False

    def _commit(self, drop: set[str], new: Entries | None) -> None:
        try:
            shards, number = self._write(arrange(self._shards, drop, new, (self.space, self.mark)))
            names = tuple(shard.path.name for shard in shards)
            manifest = replace(self._manifest, next=number, shards=names)
            write_manifest(self.folder, manifest)
            self._take(manifest, shards)
            sweep(self.folder, names)
        except BaseException:
            with suppress(MienError, OSError):  # go by the disk: the rename may have happened
                self._refresh()
                sweep(self.folder, self._manifest.shards)
            raise

    def _write(self, parts: Sequence[Shard | Entries]) -> tuple[tuple[Shard, ...], int]:
        number, shards = self._manifest.next, []
        for part in parts:
            if isinstance(part, Entries):
                path = self.folder / f"shard-{number:06d}.npz"
                write_shard(path, part, self._manifest.dtype)
                part, number = Shard(path), number + 1
            shards.append(part)
        return tuple(shards), number

    def _refresh(self) -> None:
        if read_manifest(self.folder) != self._manifest:
            self._take(*read_shards(self.folder))

    def _take(self, manifest: Manifest, shards: tuple[Shard, ...]) -> None:
        self._manifest, self._shards = manifest, shards
        self._projections, self._bounds = {}, None
        for name in READ:
            self.__dict__.pop(name, None)

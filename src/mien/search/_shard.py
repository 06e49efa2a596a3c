"""One file of a gallery: up to 500 faces, written whole, never changed."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from mien.errors import BadGallery, BadInput
from mien.files import write_bytes
from mien.types import Attributes, Latent

ROWS = 500  # faces of a full shard: 1 MB of latents and about 3 MB of thumbnails
DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True)
class Entries:
    """Faces to store; every field has one item a face.

    ids: unique, not empty. paths: where the photo is ("" for sampled faces).
    latent: N faces. attributes: any vocabulary. thumbnails: JPEG bytes.
    Raises BadInput when the lengths differ or an id is empty or given twice.
    """

    ids: tuple[str, ...]
    paths: tuple[str, ...]
    latent: Latent
    attributes: Attributes
    thumbnails: tuple[bytes, ...]

    def __post_init__(self) -> None:
        parts = (self.paths, self.latent, self.attributes.table, self.thumbnails)
        lengths = [len(self.ids), *(len(part) for part in parts)]
        if len(set(lengths)) != 1:
            raise BadInput(f"ids, paths, latents, attributes, thumbnails differ: {lengths} items")
        if not all(self.ids):
            raise BadInput("a face to store has an empty id; give each face a name")
        if len(set(self.ids)) != len(self.ids):
            twice = next(name for name in self.ids if self.ids.count(name) > 1)
            raise BadInput(f"the id {twice!r} is given twice; give each face its own")

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, keep: Sequence[int] | range) -> Entries:
        """The faces `keep`, in that order."""
        index = np.asarray(keep, np.int64)
        return Entries(
            tuple(self.ids[i] for i in keep),
            tuple(self.paths[i] for i in keep),
            self.latent[index],
            self.attributes.rows(index),
            tuple(self.thumbnails[i] for i in keep),
        )

    def without(self, ids: Collection[str]) -> Entries:
        """The faces whose id is not among `ids`."""
        return self.rows([i for i, name in enumerate(self.ids) if name not in ids])


def join(first: Entries, second: Entries) -> Entries:
    """Both, in that order; the vocabulary is the union, what one lacks is unknown."""
    names = union(first.attributes.names, second.attributes.names)
    tables = [widen(part.attributes, names) for part in (first, second)]
    values = np.concatenate([first.latent.values, second.latent.values])
    return Entries(
        first.ids + second.ids,
        first.paths + second.paths,
        first.latent.with_values(values),
        Attributes(names, np.concatenate(tables)),
        first.thumbnails + second.thumbnails,
    )


def union(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    """The names of both, in order of first appearance."""
    return tuple(dict.fromkeys((*first, *second)))


def widen(attributes: Attributes, names: Sequence[str]) -> np.ndarray:
    """int8 [N, len(names)]: the table over a vocabulary that contains its own."""
    table = np.zeros((len(attributes.table), len(names)), np.int8)
    table[:, [names.index(name) for name in attributes.names]] = attributes.table
    return table


def write_shard(path: Path, entries: Entries) -> int:
    """Write `entries` to `path` atomically; returns the bytes written."""
    rows = {"ids": entries.ids, "paths": entries.paths, "names": entries.attributes.names}
    offsets = np.cumsum([0, *(len(picture) for picture in entries.thumbnails)])
    buffer = io.BytesIO()
    np.savez(
        buffer,
        rows=np.frombuffer(json.dumps(rows).encode(), np.uint8),
        latents=entries.latent.values,
        attributes=entries.attributes.table,
        offsets=offsets.astype(np.int64),
        thumbnails=np.frombuffer(b"".join(entries.thumbnails), np.uint8),
    )
    write_bytes(path, buffer.getvalue())
    return buffer.tell()


class Shard:
    """A stored file. Names and attributes are read at once, the rest when asked for.

    Raises FileNotFoundError when it is missing at first, BadGallery when it is
    damaged or a writer has replaced it since.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise FileNotFoundError(path)
        rows, table = self._read("rows", "attributes")
        try:
            fields = json.loads(rows.tobytes())
            self.ids, self.paths = tuple(fields["ids"]), tuple(fields["paths"])
            self.attributes = Attributes(tuple(fields["names"]), table)
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(error) from error

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def places(self) -> dict[str, int]:
        """id -> row."""
        return {name: row for row, name in enumerate(self.ids)}

    def values(self) -> np.ndarray:
        """float32 [N, D] or [N, L, D]."""
        return self._read("latents")[0]

    def thumbnails(self, names: Sequence[str]) -> list[bytes]:
        """The JPEG bytes of some of its faces; nothing is read when none is asked for."""
        if not names:
            return []
        offsets, pictures = self._read("offsets", "thumbnails")
        places = [self.places[name] for name in names]
        return [pictures[offsets[row] : offsets[row + 1]].tobytes() for row in places]

    def entries(self, space: str, mark: str) -> Entries:
        """All its faces."""
        latent = Latent(self.values(), space, mark)
        pictures = tuple(self.thumbnails(self.ids))
        return Entries(self.ids, self.paths, latent, self.attributes, pictures)

    def _read(self, *names: str) -> list[np.ndarray]:
        try:
            with np.load(self.path, allow_pickle=False) as file:
                return [file[name] for name in names]
        except FileNotFoundError as error:
            raise BadGallery(
                f"{self.path} was replaced by another process; open the gallery again"
            ) from error
        except DAMAGED as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> BadGallery:
        return BadGallery(
            f"{self.path} is damaged ({error}); build the gallery again in another folder"
        )

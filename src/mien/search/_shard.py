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


def write_shard(path: Path, entries: Entries, dtype: str = "float32") -> int:
    """Write `entries` to `path` atomically, latents as `dtype`; returns the bytes written.

    BadInput when a latent is too large for float16.
    """
    buffer = io.BytesIO()
    np.savez(buffer, **arrays_of(entries, dtype))  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue())
    return buffer.tell()


def arrays_of(entries: Entries, dtype: str = "float32") -> dict[str, np.ndarray]:
    """What a shard's file holds; BadInput when a latent is too large for float16."""
    with np.errstate(over="ignore"):
        latents = entries.latent.values.astype(dtype)
    if not np.isfinite(latents).all():
        raise BadInput(f"a latent is too large for {dtype}; store this gallery as float32")
    rows = {"ids": entries.ids, "paths": entries.paths, "names": entries.attributes.names}
    offsets = np.cumsum([0, *(len(picture) for picture in entries.thumbnails)])
    return {
        "rows": np.frombuffer(json.dumps(rows).encode(), np.uint8),
        "latents": latents,
        "attributes": entries.attributes.table,
        "offsets": offsets.astype(np.int64),
        "thumbnails": np.frombuffer(b"".join(entries.thumbnails), np.uint8),
    }


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
        """float32 [N, D] or [N, L, D]; BadGallery, naming the face, where one is no number."""
        values: np.ndarray = self._read("latents")[0].astype(np.float32, copy=False)
        finite = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
        if not finite.all():
            raise self.no_number(int(finite.argmin()))
        return values

    def no_number(self, row: int) -> BadGallery:
        """What to raise for a face whose latent holds NaN or infinite values."""
        name = self.ids[row]
        return self._damaged(ValueError(f"the latent of {name!r} holds NaN or infinite values"))

    @cached_property
    def mapped(self) -> np.ndarray:
        """Latents [N, L*D] as they lie on the disk, float32 or float16; read when touched."""
        try:
            stored = map_member(self.path, "latents.npy").reshape(len(self), -1)
            return np.asarray(stored)  # a plain view, which is quicker to take rows of
        except FileNotFoundError as error:
            raise self._replaced() from error
        except DAMAGED as error:
            raise self._damaged(error) from error

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
            raise self._replaced() from error
        except DAMAGED as error:
            raise self._damaged(error) from error

    def _replaced(self) -> BadGallery:
        return BadGallery(f"{self.path} was replaced by another process; open the gallery again")

    def _damaged(self, error: Exception) -> BadGallery:
        return BadGallery(
            f"{self.path} is damaged ({error}); build the gallery again in another folder"
        )


def arrange(
    shards: Sequence[Shard], drop: Collection[str], new: Entries | None, model: tuple[str, str]
) -> list[Shard | Entries]:
    """The shards to keep as they are, and what to write in place of the others.

    drop: ids to leave out; new: faces to add; model: (space, mark) of the latents.
    """
    drop = set(drop)
    parts: list[Shard | Entries] = []
    for shard in shards:
        if drop.isdisjoint(shard.places):
            parts.append(shard)
        elif not drop.issuperset(shard.ids):
            parts.append(shard.entries(*model).without(drop))
    if new is None or not len(new):
        return parts
    if parts and len(parts[-1]) + len(new) <= ROWS:  # else every small add is a file
        last = parts.pop()
        new = join(last.entries(*model) if isinstance(last, Shard) else last, new)
    chunks = [range(start, len(new))[:ROWS] for start in range(0, len(new), ROWS)]
    return [*parts, *(new.rows(chunk) for chunk in chunks)]


def starts_of(shards: Sequence[Shard]) -> np.ndarray:
    """int64 [len(shards) + 1]: the first row of each shard, numbered through all; their sum."""
    return np.cumsum([0, *(len(shard) for shard in shards)])


def read_rows(
    shards: Sequence[Shard], rows: np.ndarray, starts: np.ndarray | None = None
) -> np.ndarray:
    """Latents [n, L*D] of some faces, numbered through all shards; reads only these.

    starts: `starts_of(shards)`, where it is known. float32, or float16 where all
    are stored so. Raises BadGallery, naming the face, where one is no number.
    """
    if not len(rows):
        return np.empty((0, 0), np.float32)
    starts = starts_of(shards) if starts is None else starts
    homes = np.searchsorted(starts, rows, "right") - 1
    first = shards[homes[0]].mapped
    found = np.empty((len(rows), first.shape[1]), first.dtype)
    places = list(zip(homes.tolist(), (rows - starts[homes]).tolist(), strict=True))
    for at, (home, row) in enumerate(places):
        found[at] = shards[home].mapped[row]
    finite = np.isfinite(found)
    if not finite.all():
        home, row = places[int(finite.all(axis=1).argmin())]
        raise shards[home].no_number(row)
    return found


def map_member(path: Path, name: str) -> np.ndarray:
    """An array of an uncompressed .npz, memory-mapped where it lies in the file."""
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        member = archive.getinfo(name)
        if member.compress_type != zipfile.ZIP_STORED:
            return np.asarray(np.load(path, allow_pickle=False)[name.removesuffix(".npy")])
        file.seek(member.header_offset + 26)  # the local header's lengths of name and extra
        named, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
        file.seek(named + extra, io.SEEK_CUR)
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        if 0 in shape:
            return np.empty(shape, dtype)
        return np.memmap(path, dtype, "r", file.tell(), shape)

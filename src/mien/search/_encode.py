"""Photos to entries: cut into shards and batches by their place in the list, decoded, encoded.

What a batch holds is settled by the list alone and each is encoded on one core,
so that a latent has the same bytes whoever encodes it: the last bits of a
network depend on the size of the batch and on the number of threads.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from mien.errors import BadInput
from mien.faces.portrait import FaceOptions
from mien.generators.contract import Space
from mien.search._decode import Decoded, decode_all
from mien.search._shard import Entries, join, union, widen
from mien.types import Attributes


class Reader(Protocol):
    """What is needed of a recogniser."""

    names: tuple[str, ...]

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """Faces float32 [N, 3, S, S] -> float32 [N, M] in [0, 1]."""
        ...


@dataclass(frozen=True)
class BuildOptions:
    """How photos become entries."""

    root: Path | None = None  # ids are paths relative to it; None: paths as given
    aligned: bool = False  # photos are aligned faces already (CelebA's 178x218, or square)
    number: int = 1  # which face of a photo; 1 is the largest
    attributes: Attributes | None = None  # known attributes, one row a path
    recogniser: Reader | None = None  # fills what is not known
    workers: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))  # 0: no pool
    batch: int = 32  # faces encoded at once, and photos of one piece of a worker's work
    commit: int = 500  # photos of a shard, stored at once: what a crash can cost


@dataclass(frozen=True)
class Photo:
    """A photo to add. row: of its attributes."""

    id: str
    path: Path
    row: int


Batch = Sequence[Photo]
Encoded = tuple[list[Decoded], Entries | None]  # a batch; None where no photo could be used


def listed(paths: Sequence[Path], options: BuildOptions) -> list[Photo]:
    """The photos in order; one given twice counts once. BadInput for options that do not fit."""
    if not paths:
        raise BadInput("there are no photos to add; give a folder that holds some")
    if options.attributes is not None and len(options.attributes.table) != len(paths):
        raise BadInput(
            f"{len(paths)} photos have {len(options.attributes.table)} rows of attributes; "
            "give one row a photo"
        )
    if options.batch < 1 or options.commit < 1:
        raise BadInput(f"batch={options.batch}, commit={options.commit}: both must be 1 or more")
    photos: dict[str, Photo] = {}
    for row, path in enumerate(paths):
        inside = options.root is not None and path.is_relative_to(options.root)
        name = path.relative_to(options.root) if options.root is not None and inside else path
        photos.setdefault(name.as_posix(), Photo(name.as_posix(), path, row))
    return list(photos.values())


def cut(photos: Sequence[Photo], there: Container[str], options: BuildOptions) -> list[list[Batch]]:
    """Shards of batches, cut at fixed places of the list, of the photos that are not `there`."""
    shards: list[list[Batch]] = []
    for start in range(0, len(photos), options.commit):
        end = min(start + options.commit, len(photos))
        places = (
            slice(at, min(at + options.batch, end)) for at in range(start, end, options.batch)
        )
        batches = ([p for p in photos[place] if p.id not in there] for place in places)
        shards.append([batch for batch in batches if batch])
    return [shard for shard in shards if shard]


def encoded(
    batches: Sequence[Batch], space: Space, options: BuildOptions, cores: int
) -> Iterator[Encoded]:
    """The batches in order, `cores` of them encoded side by side."""
    from mien.generators._threads import thread_a_core  # not before torch is needed

    face = FaceOptions(frame=space.frame, number=options.number, aligned=options.aligned)
    paths = [[photo.path for photo in batch] for batch in batches]
    decoded = decode_all(paths, space.size, face, options.workers)
    ahead: deque[tuple[list[Decoded], Future[Entries | None]]] = deque()
    with thread_a_core(cores) as pool:
        for batch, items in zip(batches, decoded, strict=True):
            ahead.append((items, pool.submit(_entries, batch, items, space, options)))
            if len(ahead) > cores:
                done, entries = ahead.popleft()
                yield done, entries.result()
        for done, entries in ahead:
            yield done, entries.result()


def joined(pending: Entries | None, fresh: Entries | None) -> Entries | None:
    """Both, in that order."""
    if pending is None or fresh is None:
        return fresh if pending is None else pending
    return join(pending, fresh)


def failures(items: Sequence[Decoded]) -> list[tuple[str, str]]:
    """(path, sentence) of the photos that could not be used."""
    return [(str(item.path), item.failure) for item in items if item.face is None]


def read_attributes(
    faces: np.ndarray, rows: np.ndarray | None, options: BuildOptions
) -> Attributes:
    """What was given for `rows`, and where that is unknown what the recogniser reads."""
    known = Attributes((), np.zeros((len(faces), 0), np.int8))
    if options.attributes is not None and rows is not None:
        known = options.attributes.rows(rows)
    if options.recogniser is None:
        return known
    present = options.recogniser.probabilities(faces) >= 0.5
    read = Attributes(tuple(options.recogniser.names), np.where(present, 1, -1).astype(np.int8))
    names = union(known.names, read.names)
    given = widen(known, names)
    return Attributes(names, np.where(given != 0, given, widen(read, names)))


def _entries(
    batch: Batch, items: Sequence[Decoded], space: Space, options: BuildOptions
) -> Entries | None:
    pairs = [(p, i, i.face) for p, i in zip(batch, items, strict=True) if i.face is not None]
    if not pairs:
        return None
    faces = np.stack([face for _, _, face in pairs])
    return Entries(
        ids=tuple(photo.id for photo, _, _ in pairs),
        paths=tuple(str(photo.path.absolute()) for photo, _, _ in pairs),
        latent=space.encode(faces),
        attributes=read_attributes(faces, np.array([p.row for p, _, _ in pairs]), options),
        thumbnails=tuple(item.thumbnail for _, item, _ in pairs),
    )

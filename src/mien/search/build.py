"""Fill a gallery from photos: workers decode, the space encodes, commits are small.

Stopped at any moment, the gallery holds every acknowledged commit; the same
call goes on where it stopped, because ids that are already there are skipped.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from mien.errors import BadInput
from mien.faces.portrait import FaceOptions
from mien.generators.contract import Space
from mien.search._decode import Decoded, decode_all
from mien.search._manifest import MANIFEST
from mien.search._shard import join, union, widen
from mien.search.gallery import Entries, Gallery
from mien.search.thumbnail import to_thumbnail
from mien.types import Attributes, Latent

Progress = Callable[[int, int], None]  # (photos done, photos to do)


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
    commit: int = 500  # faces stored at once: what a crash can cost


@dataclass(frozen=True)
class BuildReport:
    """added: faces stored. skipped: already there. failures: (path, sentence)."""

    added: int
    skipped: int
    failures: tuple[tuple[str, str], ...]


def build_gallery(
    folder: Path,
    paths: Sequence[Path],
    space: Space,
    options: BuildOptions | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Encode photos into the gallery `folder`, which is made when it does not exist.

    A photo that cannot be used is listed in the report and never stops the
    others. Raises BadInput when `paths` is empty or does not match the
    attributes, SpaceMismatch for a gallery of another space, BadGallery while
    another process writes. On a full disk or an interrupt, what was committed
    stays.
    """
    options = options or BuildOptions()
    _check(paths, options)
    gallery = open_or_create(folder, space.sample(1))
    with gallery.writing():
        rows = _rows_by_id(paths, options.root)
        todo = {name: row for name, row in rows.items() if name not in gallery}
        stored, failures = _fill(gallery, paths, todo, _Tools(space, options, progress))
    return BuildReport(stored, len(rows) - len(todo), tuple(failures))


def sample_gallery(
    folder: Path, count: int, space: Space, options: BuildOptions | None = None, seed: int = 0
) -> BuildReport:
    """Fill a gallery with faces drawn from the space itself; ids are "sample-SEED-000001" and on.

    The latents stored are those drawn, so a hit decodes to its thumbnail.
    Sampling again with the same seed replaces the same faces.
    """
    options = options or BuildOptions()
    if count < 1:
        raise BadInput(f"cannot sample {count} faces; ask for at least 1")
    latent = space.sample(count, seed)
    gallery = open_or_create(folder, latent[:1])
    ids = tuple(f"sample-{seed}-{number:06d}" for number in range(1, count + 1))
    for start in range(0, count, options.batch):
        piece = slice(start, start + options.batch)
        faces = space.decode(latent[piece])
        pictures = tuple(to_thumbnail(face) for face in faces)
        known = _attributes(faces, None, options)
        entries = Entries(ids[piece], ("",) * len(faces), latent[piece], known, pictures)
        gallery.add(entries, replace=True)
    return BuildReport(count, 0, ())


def open_or_create(folder: Path, latent: Latent) -> Gallery:
    """The gallery `folder` for latents like `latent`; made when there is none.

    Raises SpaceMismatch when it exists and belongs to another space.
    """
    if not (Path(folder) / MANIFEST).exists():
        return Gallery.create(folder, latent.model, latent.space, latent.values.shape[1:])
    gallery = Gallery.open(folder)
    gallery.check_latent(latent)
    return gallery


@dataclass(frozen=True)
class _Tools:
    space: Space
    options: BuildOptions
    progress: Progress | None


def _check(paths: Sequence[Path], options: BuildOptions) -> None:
    if not paths:
        raise BadInput("there are no photos to add; give a folder that holds some")
    if options.attributes is not None and len(options.attributes.table) != len(paths):
        raise BadInput(
            f"{len(paths)} photos have {len(options.attributes.table)} rows of attributes; "
            "give one row a photo"
        )
    if options.batch < 1 or options.commit < 1:
        raise BadInput(f"batch={options.batch}, commit={options.commit}: both must be 1 or more")


def _rows_by_id(paths: Sequence[Path], root: Path | None) -> dict[str, int]:
    """id -> row of `paths`; a photo given twice counts once."""
    rows: dict[str, int] = {}
    for row, path in enumerate(paths):
        inside = root is not None and path.is_relative_to(root)
        name = path.relative_to(root) if root is not None and inside else path
        rows.setdefault(name.as_posix(), row)
    return rows


def _fill(
    gallery: Gallery, paths: Sequence[Path], todo: dict[str, int], tools: _Tools
) -> tuple[int, list[tuple[str, str]]]:
    names = {paths[row]: (name, row) for name, row in todo.items()}
    failures: list[tuple[str, str]] = []
    stored, done, pending = 0, 0, None
    for batch, fresh in _encoded(names, tools):
        failures += [(str(item.path), item.failure) for item in batch if item.face is None]
        if fresh is not None:
            pending = fresh if pending is None else join(pending, fresh)
        if pending is not None and len(pending) >= tools.options.commit:
            gallery.add(pending)
            stored, pending = stored + len(pending), None
        done += len(batch)
        if tools.progress is not None:
            tools.progress(done, len(todo))
    if pending is not None:
        gallery.add(pending)
        stored += len(pending)
    return stored, failures


def _encoded(
    names: dict[Path, tuple[str, int]], tools: _Tools
) -> Iterator[tuple[list[Decoded], Entries | None]]:
    """Batches in order with their entries, None where no photo could be used."""
    from mien.generators._threads import thread_a_core  # not before torch is needed

    cores = os.cpu_count() or 1
    ahead: deque[tuple[list[Decoded], Future[Entries | None]]] = deque()
    with thread_a_core(cores) as pool:
        for batch in _decoded(list(names), tools):
            ahead.append((batch, pool.submit(_entries, batch, names, tools)))
            if len(ahead) > cores:
                done, entries = ahead.popleft()
                yield done, entries.result()
        for done, entries in ahead:
            yield done, entries.result()


def _decoded(paths: Sequence[Path], tools: _Tools) -> Iterator[list[Decoded]]:
    options, space = tools.options, tools.space
    face = FaceOptions(frame=space.frame, number=options.number, aligned=options.aligned)
    return decode_all(paths, space.size, face, options.batch, options.workers)


def _entries(
    batch: Sequence[Decoded], names: dict[Path, tuple[str, int]], tools: _Tools
) -> Entries | None:
    items = [item for item in batch if item.face is not None]
    if not items:
        return None
    faces = np.stack([item.face for item in items if item.face is not None])
    ids, rows = zip(*(names[item.path] for item in items), strict=True)
    return Entries(
        ids=ids,
        paths=tuple(str(item.path.absolute()) for item in items),
        latent=tools.space.encode(faces),
        attributes=_attributes(faces, np.array(rows), tools.options),
        thumbnails=tuple(item.thumbnail for item in items),
    )


def _attributes(faces: np.ndarray, rows: np.ndarray | None, options: BuildOptions) -> Attributes:
    """What was given, and where that is unknown what the recogniser reads."""
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

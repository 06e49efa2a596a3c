"""Fill a gallery from photos: workers decode, the space encodes, commits are small.

Stopped at any moment, the gallery holds every acknowledged commit; the same
call goes on where it stopped, because ids that are already there are skipped.
`bulk` fills one by whole shards in several processes, or on a cluster.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.errors import BadInput
from mien.generators.contract import Space
from mien.search._encode import (
    Batch,
    BuildOptions,
    Reader,
    cut,
    encoded,
    failures,
    joined,
    listed,
    read_attributes,
)
from mien.search._manifest import MANIFEST
from mien.search._named import namesakes
from mien.search.gallery import Entries, Gallery
from mien.search.thumbnail import to_thumbnail
from mien.types import Latent

Progress = Callable[[int, int], None]  # (photos done, photos to do)

__all__ = ["BuildOptions", "BuildReport", "Reader", "build_gallery", "sample_gallery"]


@dataclass(frozen=True)
class BuildReport:
    """added: faces stored. skipped: already there. failures: (path, sentence).

    moved: of the skipped, those whose photo was elsewhere, where it is no more.
    """

    added: int
    skipped: int
    failures: tuple[tuple[str, str], ...]
    moved: int = 0


def build_gallery(
    folder: Path,
    paths: Sequence[Path],
    space: Space,
    options: BuildOptions | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Encode photos into the gallery `folder`, which is made when it does not exist.

    A photo that cannot be used, or is named like another one that is there, is
    listed in the report and never stops the others. Raises BadInput when
    `paths` is empty or does not match the attributes, SpaceMismatch for a
    gallery of another space, BadGallery while another process writes. On a full
    disk or an interrupt, what was committed stays.
    """
    options = options or BuildOptions()
    photos = listed(paths, options)
    gallery = open_or_create(folder, space.sample(1))
    with gallery.writing():
        shards = cut(photos, gallery.places, options)
        todo = sum(len(batch) for shard in shards for batch in shard)
        named = namesakes(photos, gallery)
        stored, left_out = _fill(gallery, shards, space, options, progress)
    skipped = len(photos) - todo - len(named.clashes)
    return BuildReport(stored, skipped, (*named.clashes, *left_out), named.moved)


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
        known = read_attributes(faces, None, options)
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


def _fill(
    gallery: Gallery,
    shards: Sequence[Sequence[Batch]],
    space: Space,
    options: BuildOptions,
    progress: Progress | None,
) -> tuple[int, list[tuple[str, str]]]:
    batches = [batch for shard in shards for batch in shard]
    last = [batch is shard[-1] for shard in shards for batch in shard]
    left_out: list[tuple[str, str]] = []
    stored, done, total, pending = 0, 0, sum(map(len, batches)), None
    results = encoded(batches, space, options, os.cpu_count() or 1)
    for ends, (items, fresh) in zip(last, results, strict=True):
        left_out += failures(items)
        pending = joined(pending, fresh)
        if ends and pending is not None:
            gallery.add(pending)
            stored, pending = stored + len(pending), None
        done += len(items)
        if progress is not None:
            progress(done, total)
    return stored, left_out

"""Forget faces: rewrite what held them, then prove by the bytes that nothing is left.

`Gallery.remove` rewrites the shards of the faces and sweeps their codes. What
it leaves is the plan of the codes: its mean, components and scales were fitted
on faces among which the forgotten ones may have been, so plans are fitted anew
on those that stay. Then every file of the folder is searched for the faces'
ids, paths, thumbnails, latents and codes. An index in Milvus goes first and as a
whole, because stores keep what is deleted from them; it is made again by
`mien gallery index`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from mien.errors import UnknownName
from mien.recognise import identity
from mien.search._code_files import Progress, code_pieces, encode_all, refit_plans
from mien.search._index_card import read_card
from mien.search._milvus_client import local_folder
from mien.search._traces import (
    Left,
    Searched,
    Trace,
    name_traces,
    number_traces,
    piece_traces,
    search_files,
)
from mien.search.gallery import Gallery
from mien.search.indexing import drop_index, stored_vectors
from mien.search.thumbnail import faces_of

BATCH = 64  # thumbnails in memory at once

__all__ = ["Forgotten", "Left", "forget", "same_person"]


@dataclass(frozen=True)
class Forgotten:
    """ids: of the faces. kept: faces left in the gallery. searched: the proof.

    dropped: uri of the index that went with them, "" when there was none.
    """

    ids: tuple[str, ...]
    kept: int
    searched: Searched
    dropped: str = ""

    @property
    def proven(self) -> bool:
        """Whether nothing of the faces is left in the gallery's folder."""
        return not self.searched.left


def forget(gallery: Gallery, ids: Collection[str], progress: Progress | None = None) -> Forgotten:
    """Delete faces and search every file of the gallery's folder for what they were.

    Killed at any moment, the gallery has all of the faces or none; what a dead
    writer left over is swept by the next write. The proof covers the folder's
    files, and an embedded index's: not backups, not blocks of the disk that were
    freed, not a cluster's storage, not the photos themselves. progress(step,
    steps, text) is called a file. Raises UnknownName when a face is not here
    (none is deleted), BadInput for a file that cannot be searched or an index
    that cannot be reached (likewise).
    """
    names = tuple(dict.fromkeys(ids))
    with gallery.writing():
        for name in names:
            if name not in gallery:
                raise UnknownName("face", name, gallery.ids)
        card = read_card(gallery.folder)
        index = card and local_folder(card.uri)
        folders = [gallery.folder, *([index] if index else [])]
        search_files(folders, [])  # what cannot be searched is found before anything is gone
        traces = _traces(gallery, names)
        drop_index(gallery.folder)
        gone = [gallery.places[name] for name in names]
        refit_plans(gallery.folder, gallery.shards, np.delete(np.arange(len(gallery)), gone))
        gallery.remove(names)
        encode_all(gallery.folder, gallery.shards, progress)
        searched = search_files(folders, traces, progress)
    dropped = card.uri if card and card.collection else ""
    return Forgotten(names, len(gallery), searched, dropped)


def same_person(
    gallery: Gallery,
    face: bytes,
    threshold: float = identity.SAME,
    progress: Progress | None = None,
) -> dict[str, float]:
    """id -> cosine of the faces that may be the person of a thumbnail, most alike first.

    face: JPEG bytes like a stored thumbnail; it and the gallery are in CelebA's
    frame. The embedding is `mien.recognise.identity`'s, whose threshold one in a
    hundred pairs of different people exceeds: look at the list before acting on
    it. progress(step, steps, text) is called every 64 faces. Raises MissingExtra
    when dlib is not installed.
    """
    person = identity.embed(faces_of([face]))
    found: dict[str, float] = {}
    for start in range(0, len(gallery), BATCH):
        names = gallery.ids[start : start + BATCH]
        others = identity.embed(faces_of(gallery.thumbnails(names)))
        found.update(zip(names, (others @ person[0]).tolist(), strict=True))
        if progress is not None:
            progress(start + len(names), len(gallery), "look at faces")
    alike = {name: cosine for name, cosine in found.items() if cosine >= threshold}
    return dict(sorted(alike.items(), key=lambda pair: -pair[1]))


def _traces(gallery: Gallery, names: Sequence[str]) -> list[Trace]:
    found: list[Trace] = []
    for shard in gallery.shards:
        here = [name for name in names if name in shard.places]
        for name, picture in zip(here, shard.thumbnails(here), strict=True):
            row = shard.places[name]
            latent = np.array(shard.mapped[row]).reshape(-1, gallery.shape[-1])
            found += name_traces(name, "id", name)
            found += name_traces(name, "path", shard.paths[row]) if shard.paths[row] else []
            found += [Trace(name, "thumbnail", picture)] if picture else []
            found += number_traces(name, "latent", latent)
            for piece in code_pieces(gallery.folder, shard, row):
                found += piece_traces(name, "code", piece)
    for name, vector in stored_vectors(gallery, names):
        found += piece_traces(name, "code", vector)
    return found

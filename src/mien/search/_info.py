"""What there is to say about a gallery."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mien.search._index_card import IndexCard, read_card
from mien.search._manifest import MANIFEST

if TYPE_CHECKING:
    from mien.search.gallery import Gallery


@dataclass(frozen=True)
class GalleryInfo:
    """count: faces. mark, space, shape: of the latents. bytes: on disk.

    known: attribute -> number of faces where it is known (present or absent).
    index: of the faces in Milvus, where there is one.
    """

    count: int
    mark: str
    space: str
    shape: tuple[int, ...]
    bytes: int
    known: dict[str, int]
    index: IndexCard | None = None


def describe(gallery: Gallery) -> GalleryInfo:
    """Count, marks, size on disk, and how much is known of each attribute."""
    codes = gallery.folder.glob("codes-*.npz")
    files = [gallery.folder / MANIFEST, *(shard.path for shard in gallery.shards), *codes]
    size = sum(file.stat().st_size for file in files)
    table = (gallery.attributes.table != 0).sum(axis=0).tolist()
    known = dict(zip(gallery.attributes.names, table, strict=True))
    marks = (gallery.mark, gallery.space, gallery.shape)
    card = read_card(gallery.folder)
    index = card and replace(card, centre=())  # which is long and tells nobody anything
    return GalleryInfo(len(gallery), *marks, size, known, index)

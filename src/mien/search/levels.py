"""What a recogniser sees in a gallery's photos: the range that an amount of 1 should cross."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from mien.directions import levels_of
from mien.search.gallery import Gallery
from mien.search.thumbnail import faces_of

BATCH = 64


class Reader(Protocol):
    """What is needed of a recogniser."""

    names: tuple[str, ...]
    size: int

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """Faces float32 [N, 3, size, size] -> float32 [N, M] in [0, 1]."""
        ...


def photo_levels(
    gallery: Gallery, recogniser: Reader, count: int = 2000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """attribute -> (probability of photos clearly lacking it, of photos clearly having it).

    Read on the thumbnails of `count` faces of the gallery, drawn with `seed`.
    A decoder that blurs an attribute away lowers what its own faces show;
    photos say how far an edit has to go. Attributes without faces on both sides
    are left out.
    """
    rows = np.random.default_rng(seed).permutation(len(gallery))[:count]
    read = read_photos(gallery, recogniser, rows)
    return levels_of(read, recogniser.names, gallery.attributes.rows(rows))


def read_photos(
    gallery: Gallery,
    recogniser: Reader,
    rows: np.ndarray,
    tell: Callable[[int, int, str], None] = lambda *_: None,
) -> np.ndarray:
    """A recogniser's probabilities float32 [len(rows), M] of the gallery's thumbnails.

    tell(done, total, text) is called after each batch.
    """
    ids = [gallery.ids[row] for row in rows]
    parts = [np.zeros((0, len(recogniser.names)), np.float32)]
    for start in range(0, len(ids), BATCH):
        faces = faces_of(gallery.thumbnails(ids[start : start + BATCH]), recogniser.size)
        parts.append(recogniser.probabilities(faces))
        tell(min(start + BATCH, len(ids)), len(ids), "read photos")
    return np.concatenate(parts)

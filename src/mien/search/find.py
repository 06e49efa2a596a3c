"""Rank a gallery for one face: encode it, search, explain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mien import checkpoint
from mien.search.exact import Answer, search
from mien.search.gallery import Gallery
from mien.search.query import check_query, moves, wanted
from mien.types import Directions, Face, Hit, Query

if TYPE_CHECKING:
    from mien.generators.contract import Space

STRESS = 30.0  # weight of an adjusted attribute for which no preference is given
EMBEDDED = "gallery"  # a thousand faces sampled from the embedded space


@dataclass(frozen=True)
class Wish:
    """How the faces looked for differ from the one given, and what matters (see `Query`).

    One coordinate of hundreds hardly moves a ranking, so an adjusted attribute
    weighs 30 unless `prefer` names it; every other attribute weighs 1.
    """

    adjust: Mapping[str, float] = field(default_factory=dict)  # wanted presence in [0, 1]
    prefer: Mapping[str, float] = field(default_factory=dict)  # weight, 0 or more
    k: int = 10  # faces to return
    semantics: str = "set"  # or "add"

    @property
    def weights(self) -> dict[str, float]:
        """The preferences a query is made with: those given, and the adjusted attributes'."""
        return dict.fromkeys(self.adjust, STRESS) | dict(self.prefer)


def open_gallery(folder: Path | None = None) -> Gallery:
    """The gallery in `folder`, or the embedded one; BadGallery when it is none or damaged."""
    return Gallery.open(checkpoint.assets() / EMBEDDED if folder is None else Path(folder))


class Store(Protocol):
    """What ranks a gallery in the exact store's place, such as `MilvusIndex`."""

    def search_many(self, queries: Sequence[Query], directions: Directions) -> list[Answer]:
        """As `mien.search.exact.search_many`, over the gallery it was opened for."""
        ...


def find_faces(
    face: Face,
    gallery: Gallery,
    space: Space,
    directions: Directions,
    wish: Wish | None = None,
    store: Store | None = None,
) -> list[Hit]:
    """The gallery's faces nearest to `face` as it is wished to be, nearest first.

    The distance is that of `mien.search.distance`; each hit's shares sum to it.
    store: the gallery's index, where one is to be asked. Raises UnknownName for
    an attribute the directions lack, SpaceMismatch when gallery, space and
    directions do not belong together, BadInput for numbers out of range or more
    hits than the gallery has faces.
    """
    query = _query(face, space, wish or Wish())
    if store is not None:
        return store.search_many([query], directions)[0].hits
    return search(gallery, query, directions)


def wished_face(face: Face, space: Space, directions: Directions, wish: Wish) -> np.ndarray:
    """The point that is searched from, decoded: float32 [3, S, S] in [-1, 1].

    Without adjustments it is the face's plain reconstruction. Raises what
    `find_faces` raises for the query.
    """
    query = _query(face, space, wish)
    check_query(query, directions)
    basis = directions.vectors.astype(np.float64)
    alpha = moves(query.latent.flat @ basis, wanted(query, directions), directions, wish.semantics)
    moved = query.latent.flat + alpha @ basis.T
    pixels: np.ndarray = space.decode(query.latent.with_values(moved))[0]
    return pixels


def _query(face: Face, space: Space, wish: Wish) -> Query:
    latent = space.encode(face.pixels[None])
    return Query(latent, wish.adjust, wish.weights, wish.k, wish.semantics)

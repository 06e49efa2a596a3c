"""`mien find`: rank a gallery by "like this face, but ...", and say why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import options, output, pictures

if TYPE_CHECKING:
    import numpy as np

    from mien.generators.contract import Space
    from mien.search.find import Wish
    from mien.search.gallery import Gallery
    from mien.types import Directions, Face, Hit

SHOWN = 3  # attributes a row of the table

Folder = Annotated[
    Path | None,
    typer.Option("--gallery", metavar="DIR", help="Gallery to rank; the embedded one if left out."),
]
Adjust = Annotated[
    list[str] | None,
    typer.Option(
        "--adjust",
        metavar="NAME=PRESENCE",
        help="Look for faces with this presence: 0 absent, 1 present. Repeatable.",
        autocompletion=options.complete_pair,
    ),
]
Prefer = Annotated[
    list[str] | None,
    typer.Option(
        "--prefer",
        metavar="NAME=WEIGHT",
        help="How much an attribute matters: 0 not at all, 1 by default, 30 if adjusted.",
        autocompletion=options.complete_pair,
    ),
]
Count = Annotated[int, typer.Option("-k", help="Faces to find.")]
Semantics = Annotated[
    str,
    typer.Option(
        "--semantics", help="set: adjusted attributes at that presence; add: moved by it."
    ),
]
Sheet = Annotated[
    Path | None, typer.Option("--sheet", help="Write a picture of the hits with their shares.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Basis = Annotated[
    str | None,
    typer.Option("--basis", metavar="MODEL", help="Orthonormal directions; else the space's own."),
]
Index = Annotated[
    bool, typer.Option("--index", help="Ask the gallery's index (mien gallery index) first.")
]


@dataclass(frozen=True)
class Sought:
    """A face, the wishes, and the models that belong together."""

    face: Face
    wish: Wish
    space: Space
    basis: Directions

    def hits(self, gallery: Gallery, index: bool = False) -> list[Hit]:
        """The gallery's nearest faces, by its index in Milvus if told so."""
        from mien.search.find import find_faces
        from mien.search.milvus import MilvusIndex

        store = MilvusIndex.open(gallery) if index else None
        return find_faces(self.face, gallery, self.space, self.basis, self.wish, store)

    def pictures(self) -> tuple[np.ndarray, np.ndarray | None]:
        """uint8 [S, S, 3]: the face, and the face as it is wished if anything is adjusted."""
        from mien.faces.cache import to_bytes
        from mien.search.find import wished_face

        face = to_bytes(self.face.pixels[None])[0]
        if not self.wish.adjust:
            return face, None
        return face, to_bytes(wished_face(self.face, self.space, self.basis, self.wish)[None])[0]


def find(
    photo: options.Photo,
    gallery: Folder = None,
    adjust: Adjust = None,
    prefer: Prefer = None,
    k: Count = 10,
    semantics: Semantics = "set",
    sheet: Sheet = None,
    json: Json = False,
    number: options.Number = 1,
    aligned: options.Aligned = False,
    space: options.Model = options.SPACE,
    basis: Basis = None,
    index: Index = False,
) -> None:
    """Rank the faces of a gallery by likeness to the face in PHOTO.

    Example: mien find me.jpg --adjust Smiling=1 --prefer Eyeglasses=30 -k 10 --sheet hits.png
    """
    from mien.checkpoint import space_card
    from mien.search.find import open_gallery

    wish = _wish(adjust or [], prefer or [], k, semantics)
    if sheet is not None:
        options.check_picture(sheet, "--sheet", photo)
    directions = _basis(options.own(space, basis, "basis"), wish)
    opened = open_gallery(gallery)
    portrait = options.portrait_of(photo, space_card(space), number, aligned)
    from mien.generators import open_space  # torch, after what can be refused without it

    sought = Sought(portrait.face, wish, open_space(space), directions)
    hits = sought.hits(opened, index)
    if sheet is not None:
        save_sheet(sheet, sought, opened, hits)
    query = {"photo": str(photo), "face": number, "gallery": str(opened.folder), **asdict(wish)}
    query["prefer"] = wish.weights
    if json:
        output.print_json({"query": query, "hits": [asdict(hit) for hit in hits]})
    else:
        print_hits(f"Nearest to {photo.name}", hits)


def save_sheet(path: Path, sought: Sought, gallery: Gallery, hits: Sequence[Hit]) -> None:
    """Write the contact sheet of `hits`, with what was asked as the picture's note."""
    import numpy as np

    from mien.provenance.mark import save_picture
    from mien.search.sheet import SheetOptions, contact_sheet

    wish = sought.wish
    asked = [f"adjust {name}={value:g}" for name, value in wish.adjust.items()]
    asked += [f"prefer {name}={value:g}" for name, value in wish.prefer.items()]
    face, wished = sought.pictures()
    thumbnails = gallery.thumbnails([hit.id for hit in hits])
    sheet = contact_sheet(face, hits, thumbnails, SheetOptions(wished, tuple(asked)))
    note = pictures.stamp(gallery.mark) | {"find": asdict(wish)}
    note |= pictures.weights_of(sought.space.card)
    save_picture(path, np.asarray(sheet), note)


def print_hits(title: str, hits: Sequence[Hit]) -> None:
    """A table of the hits: distance, its rest, and the attributes with the biggest shares."""
    rows = [
        (str(rank), hit.id, f"{hit.distance:.3f}", biggest(hit), _percent(hit.rest, hit))
        for rank, hit in enumerate(hits, start=1)
    ]
    columns = ("rank", "id", "distance", "biggest shares", "rest of the face")
    output.print_table(title, columns, rows)


def biggest(hit: Hit, count: int = SHOWN) -> str:
    """The attributes with the biggest shares of a hit's distance, in words."""
    ranked = sorted(hit.attributes.items(), key=lambda pair: -pair[1])[:count]
    return ", ".join(f"{name} {_percent(share, hit)}" for name, share in ranked)


def _percent(share: float, hit: Hit) -> str:
    return f"{100 * share / hit.distance if hit.distance else 0:.0f}%"


def _basis(name: str, wish: Wish) -> Directions:
    """The basis of that name, which knows every attribute of the wish."""
    from mien.directions import open_directions

    found = open_directions(name)
    options.check_names(wish.adjust, found.names, "--adjust")
    options.check_names(wish.prefer, found.names, "--prefer")
    return found


def _wish(adjust: Sequence[str], prefer: Sequence[str], k: int, semantics: str) -> Wish:
    from mien.search.find import Wish

    presences = options.presences(adjust, "--adjust")
    return Wish(presences, options.preferences(prefer, "--prefer"), k, semantics)

"""index.json of a gallery: where its index lies, and how faces were laid into it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mien.errors import BadGallery
from mien.files import write_json

CARD, FORMAT = "index.json", 1


@dataclass(frozen=True)
class IndexCard:
    """uri: of the Milvus store; kind: "HNSW" or "FLAT"; collection: "" until one is built.

    owner: begins the names of this gallery's collections and of no other's.
    basis: digest of the directions. shards: those whose faces are in it; faces:
    how many. centre, scales, radius: of the `Lift`. recall: hits of the exact
    store that the index alone returned, a part of 1, for plain and adjusted
    queries of 10 hits.
    """

    uri: str
    kind: str
    owner: str
    collection: str = ""
    basis: str = ""
    faces: int = 0
    shards: tuple[str, ...] = ()
    centre: tuple[float, ...] = ()
    scales: tuple[float, float] = (1.0, 1.0)
    radius: float = 0.0
    recall: dict[str, float] = field(default_factory=dict)
    format: int = FORMAT


def write_card(folder: Path, card: IndexCard) -> None:
    """Replace a gallery's card atomically."""
    write_json(folder / CARD, asdict(card))


def read_card(folder: Path) -> IndexCard | None:
    """The card of a gallery, None when nothing was indexed; BadGallery when it is damaged."""
    path = folder / CARD
    if not path.is_file():
        return None
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if value["format"] != FORMAT:
            raise ValueError(f"its format is {value['format']}, this version reads {FORMAT}")
        lists = {name: tuple(value[name]) for name in ("shards", "centre", "scales")}
        return IndexCard(**value | lists)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadGallery(
            f"{path} is damaged ({error}); delete it and run mien gallery index again"
        ) from error

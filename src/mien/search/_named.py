"""Photos named like a face that is there: that very photo, one that was moved, or another one.

Ids are paths relative to the folder that was given, so two folders may hold
different people under one name. The path stored with a face tells them apart.
"""

from __future__ import annotations

import filecmp
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.search._encode import Photo
from mien.search.gallery import Gallery


@dataclass(frozen=True)
class Namesakes:
    """clashes: (path, sentence) of other photos than those stored. moved: whose old path is gone.

    What was moved counts as the photo that is stored: nothing is left to compare it with.
    """

    clashes: tuple[tuple[str, str], ...]
    moved: int


def namesakes(photos: Sequence[Photo], gallery: Gallery) -> Namesakes:
    """What the photos whose ids are in the gallery are; faces without a path are taken as known."""
    clashes, moved = [], 0
    for photo in photos:
        row = gallery.places.get(photo.id)
        old = "" if row is None else gallery.paths[row]
        if not old or old == str(photo.path.absolute()):
            continue
        if not os.path.exists(old):
            moved += 1
        elif not _same(Path(old), photo.path):
            clashes.append((str(photo.path), _sentence(photo, old, gallery)))
    return Namesakes(tuple(clashes), moved)


def _same(old: Path, new: Path) -> bool:
    """Whether both are one file, or a copy of it; what cannot be read is another one."""
    try:
        return old.samefile(new) or filecmp.cmp(old, new, shallow=False)
    except OSError:
        return False


def _sentence(photo: Photo, old: str, gallery: Gallery) -> str:
    return (
        f"{photo.path} is another photo than {old}, which {gallery.folder} holds as {photo.id}; "
        "rename it, or build it into another gallery"
    )

"""A part: one shard of a build, encoded on its own and not yet added to the gallery.

    gallery/parts/part-0123456789abcdef0123456789abcdef.npz

Its name says what it was made of, and it takes that name in one rename, so a
part that is there is finished. Whatever encodes it, the bytes are the same.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from mien.errors import BadGallery, SpaceMismatch
from mien.generators.contract import Space
from mien.search._encode import Batch, BuildOptions, Reader, encoded, failures, joined
from mien.search._shard import DAMAGED, Entries, Shard, arrays_of
from mien.types import Attributes


class Opener(Hashable, Protocol):
    """Opens the models in the process that needs them; sent there, so it is small and pickled."""

    def __call__(self) -> tuple[Space, Reader | None]:
        """The space, and a recogniser where unknown attributes are to be filled."""
        ...


@dataclass(frozen=True)
class Recipe:
    """What all parts of a build have in common.

    mark: of the space that `opener` must open. precision, engine: that run it.
    reads: names that the recogniser fills.
    """

    opener: Opener
    mark: str
    aligned: bool
    number: int
    precision: str
    engine: str
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """Photos to encode, with absolute paths; attributes has a row for each."""

    recipe: Recipe
    batches: tuple[Batch, ...]
    attributes: Attributes | None

    def __len__(self) -> int:
        return sum(map(len, self.batches))

    @property
    def name(self) -> str:
        """Of its file: a digest of all that decides the bytes."""
        recipe = self.recipe
        digest = hashlib.blake2b(digest_size=16)
        photos = [[(photo.id, str(photo.path)) for photo in batch] for batch in self.batches]
        how = (recipe.mark, recipe.aligned, recipe.number, recipe.precision, recipe.engine)
        names = self.attributes.names if self.attributes else None
        digest.update(json.dumps([photos, how, recipe.reads, names]).encode())
        digest.update(self.attributes.table.tobytes() if self.attributes else b"")
        return f"part-{digest.hexdigest()}.npz"


def make_part(recipe: Recipe, batches: Sequence[Batch], attributes: Attributes | None) -> Part:
    """The part of these photos; attributes: a row for every photo of the build."""
    rows = np.array([photo.row for batch in batches for photo in batch])
    start, numbered = 0, []
    for batch in batches:
        numbered.append(
            tuple(replace(p, path=p.path.absolute(), row=start + n) for n, p in enumerate(batch))
        )
        start += len(batch)
    return Part(recipe, tuple(numbered), attributes.rows(rows) if attributes else None)


def encode_part(part: Part, cores: int) -> bytes:
    """The part's file. Raises what opening the models does, SpaceMismatch for other ones."""
    from mien.runtime.engine import engine
    from mien.runtime.precision import precision

    recipe = part.recipe
    with precision(recipe.precision), engine(recipe.engine):
        space, recogniser = _opened(recipe.opener)
        if space.mark != recipe.mark:
            raise SpaceMismatch(
                f"the model here is {space.mark}, the gallery is of {recipe.mark}; "
                "install the same models everywhere"
            )
        options = BuildOptions(
            aligned=recipe.aligned, number=recipe.number, attributes=part.attributes,
            recogniser=recogniser, workers=0,
        )  # fmt: skip
        entries: Entries | None = None
        left_out: list[tuple[str, str]] = []
        for items, fresh in encoded(part.batches, space, options, cores):
            left_out += failures(items)
            entries = joined(entries, fresh)
    arrays = {"failures": np.frombuffer(json.dumps(left_out).encode(), np.uint8)}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays, **arrays_of(entries) if entries else {})  # type: ignore[arg-type]
    return buffer.getvalue()


def read_part(path: Path, space: str, mark: str) -> tuple[Entries | None, list[tuple[str, str]]]:
    """Faces of a finished part, None when no photo could be used, and (path, sentence) of those.

    BadGallery when the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            left_out = [(name, said) for name, said in json.loads(arrays["failures"].tobytes())]
            empty = "rows" not in arrays
        return None if empty else Shard(path).entries(space, mark), left_out
    except (*DAMAGED, BadGallery) as error:
        raise BadGallery(f"{path} is damaged; delete it and run the same again") from error


@lru_cache(maxsize=1)
def _opened(opener: Opener) -> tuple[Space, Reader | None]:
    return opener()

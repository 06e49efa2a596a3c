"""Random bases, galleries and a toy space that tests of this room share."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.search.gallery import Entries, Gallery
from mien.types import Attributes, Directions, Latent

MARK, SPACE = "toy@1", "z"


def basis(seed: int, size: int, names: int) -> np.ndarray:
    """float32 [size, names], orthonormal columns."""
    draws = np.random.default_rng(seed).normal(size=(size, names))
    return np.linalg.qr(draws)[0].astype(np.float32)


def directions(vectors: np.ndarray, low: float = -2.0, high: float = 3.0) -> Directions:
    """Attributes A0, A1, ... along the columns of `vectors`, from `low` to `high`."""
    count = vectors.shape[1]
    ones = np.ones(count, np.float32)
    return Directions(
        names=tuple(f"A{number}" for number in range(count)),
        vectors=vectors, bias=0 * ones, low=low * ones, high=high * ones, unit=ones,
        space=SPACE, model=MARK, orthonormal=True,
    )  # fmt: skip


def latent(values: np.ndarray) -> Latent:
    """A latent of the toy space."""
    return Latent(np.asarray(values, np.float32), SPACE, MARK)


def picture(name: str) -> bytes:
    """Bytes of a face's thumbnail, different for every id; the gallery does not look inside."""
    return f"picture of {name}".encode(errors="surrogateescape")


def entries(ids: list[str], values: np.ndarray, table: np.ndarray | None = None) -> Entries:
    """Faces with attributes A0, A1, ... and recognisable paths and thumbnails."""
    table = np.ones((len(ids), 2), np.int8) if table is None else table
    names = tuple(f"A{number}" for number in range(table.shape[1]))
    return Entries(
        ids=tuple(ids),
        paths=tuple(f"/photos/{name}" for name in ids),
        latent=latent(values),
        attributes=Attributes(names, table),
        thumbnails=tuple(picture(name) for name in ids),
    )


def gallery(folder: Path, values: np.ndarray, ids: list[str] | None = None) -> Gallery:
    """A stored gallery of the toy space."""
    made = Gallery.create(folder, MARK, SPACE, values.shape[1:])
    if len(values):
        names = ids or [f"face-{row:04d}" for row in range(len(values))]
        made.add(entries(names, values))
    return made


class ToySpace:
    """Latents are 4 x 4 block means of 16 px faces: exact, linear, no network."""

    card: dict[str, object] = {}  # noqa: RUF012
    mark, space, size, frame = MARK, SPACE, 16, "celeba"

    def encode(self, faces: np.ndarray) -> Latent:
        """[N, 3, 16, 16] -> [N, 48]."""
        blocks = faces.reshape(len(faces), 3, 4, 4, 4, 4).mean(axis=(3, 5))
        return latent(blocks.reshape(len(faces), -1))

    def decode(self, given: Latent) -> np.ndarray:
        """[N, 48] -> [N, 3, 16, 16], each block one colour."""
        blocks = np.clip(given.values, -1, 1).reshape(len(given), 3, 4, 1, 4, 1)
        return np.tile(blocks, (1, 1, 1, 4, 1, 4)).reshape(len(given), 3, 16, 16)

    def sample(self, count: int, seed: int = 0) -> Latent:
        """Uniform in the cube."""
        return latent(np.random.default_rng(seed).uniform(-1, 1, (count, 48)))

"""A CelebA split as the studies need it: faces, latents, attributes, people, embeddings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.faces.cache import cache_folder, cached_crops, to_unit
from mien.faces.celeba import CelebA, read_celeba
from mien.files import atomic_open
from mien.generators.contract import Space
from mien.recognise import identity
from mien.types import Attributes, Latent

CHUNK = 250
PROBE = 8  # photos encoded to see whether stored latents still hold
SAME = 1e-4  # of the largest number: rounding of other batch sizes stays below
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Split:
    """One encoded split: N photos in the order of the partition file."""

    data: CelebA
    pixels: np.ndarray  # uint8 [N, S, S, 3], memory-mapped
    latent: Latent

    def __len__(self) -> int:
        return len(self.data)

    @property
    def attributes(self) -> Attributes:
        """The labels, [N, 40]."""
        return self.data.attributes

    def faces(self, rows: np.ndarray | slice) -> np.ndarray:
        """Faces float32 [n, 3, S, S] in [-1, 1]."""
        return to_unit(self.pixels[rows])


def encode_split(
    root: Path, split: str, space: Space, progress: Progress, limit: int | None = None
) -> Split:
    """Read and encode a split of CelebA at `root`; `limit` keeps its first photos.

    Latents are kept in the cache folder. They are used again when the first few,
    encoded anew, come out the same: another encoder, engine or precision does not pass.
    """
    data = read_celeba(root, split).rows(slice(limit))
    pixels = cached_crops(data.paths, space.size)
    path = cache_folder() / f"latents-{_key(space.mark, data)}.npy"
    values = np.load(path) if path.is_file() else None
    if values is None or not _as_now(values, pixels, space):
        parts = []
        for start in range(0, len(data), CHUNK):
            parts.append(space.encode(to_unit(pixels[start : start + CHUNK])).values)
            progress(min(start + CHUNK, len(data)), len(data), f"encode {split}")
        values = np.concatenate(parts)
        _save(path, values)
    return Split(data, pixels, Latent(values, space.space, space.mark))


def embeddings(split: Split, progress: Progress) -> np.ndarray:
    """Identity embeddings float32 [N, 128] of a split's photos, computed once and cached.

    A photo takes about 80 ms, so the file in the cache folder is worth having.
    """
    path = cache_folder() / f"identity-{_key(str(split.pixels.shape[1]), split.data)}.npy"
    if path.is_file():
        stored: np.ndarray = np.load(path)
        return stored
    parts = []
    for start in range(0, len(split), CHUNK):
        parts.append(identity.embed(split.faces(slice(start, start + CHUNK))))
        progress(min(start + CHUNK, len(split)), len(split), "embed identities")
    values = np.concatenate(parts)
    _save(path, values)
    return values


def _as_now(values: np.ndarray, pixels: np.ndarray, space: Space) -> bool:
    """Whether stored latents are what the space gives for the first photos today."""
    today = space.encode(to_unit(pixels[:PROBE])).values
    close = SAME * float(np.abs(today).max(initial=0))
    stored = values[:PROBE]
    return stored.shape == today.shape and bool(np.abs(stored - today).max(initial=0) <= close)


def _key(what: str, data: CelebA) -> str:
    names = "\n".join(str(path) for path in data.paths)
    return hashlib.sha256(f"{what}\n{names}".encode()).hexdigest()[:16]


def _save(path: Path, values: np.ndarray) -> None:
    with atomic_open(path) as handle:
        np.save(handle, values)

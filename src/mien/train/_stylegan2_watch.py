"""What is seen of a StyleGAN2 while it trains: sample grids and a Frechet distance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mien.faces.cache import to_bytes
from mien.files import atomic_open
from mien.generators.stylegan2 import Generator
from mien.measure.frechet import frechet_mobilenet, moments, photo_moments
from mien.runtime.precision import quickest

BATCH = 50
GRID = (8, 8)
Watch = Callable[[Generator, int], float]


def watch(paths: Sequence[Path], folder: Path, samples: int) -> Watch:
    """A call that draws a grid of fixed latents and measures the distance over `samples`.

    paths: the photos to compare with; the grids go to `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def seen(network: Generator, images: int) -> float:
        save_grid(folder / f"{images:08d}.png", network)
        return distance(network, paths, samples)

    return seen


def distance(network: Generator, paths: Sequence[Path], samples: int) -> float:
    """frechet_mobilenet of `samples` samples (seed 1, no truncation) to the photos."""
    photos = photo_moments(paths, network.shape.size)
    return frechet_mobilenet(moments(sample_faces(network, samples, seed=1)), photos)


def save_grid(path: Path, network: Generator, truncation: float = 1.0) -> None:
    """Write the faces of seed 0's first latents as one PNG, atomically."""
    rows, columns = GRID
    faces = np.concatenate(list(sample_faces(network, rows * columns, 0, truncation)))
    pixels = to_bytes(faces)
    picture = np.concatenate(
        [np.concatenate(pixels[row * columns :][:columns], axis=1) for row in range(rows)]
    )
    with atomic_open(path) as handle:
        Image.fromarray(picture).save(handle, "PNG")


@torch.inference_mode()
def sample_faces(
    network: Generator, count: int, seed: int, truncation: float = 1.0
) -> Iterator[np.ndarray]:
    """Batches of faces float32 [n, 3, S, S] in [-1, 1] with the stored noise."""
    random = torch.Generator().manual_seed(seed)
    z = torch.randn(count, network.shape.latent, generator=random)
    for batch in z.split(BATCH):
        with quickest():
            faces = network(batch, truncation, noise="stored")
        yield np.ascontiguousarray(faces.float().clamp(-1, 1).numpy())

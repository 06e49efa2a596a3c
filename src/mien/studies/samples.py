"""How near are a space's samples to the photos? Frechet distances in one table.

Every space draws equally many samples, decodes them and brings them to one
size, so that a model of 128 px gains nothing from its pixels. The photos are
CelebA's train split, from which all of these models learned; the last row gives
as many of the test split's photos, which a perfect model would come near to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.checks import check_numbers
from mien.errors import BadInput
from mien.faces.cache import cached_crops, to_unit
from mien.faces.celeba import read_celeba
from mien.generators.contract import Space
from mien.studies._table import markdown, output_folder, write_csv

CHUNK = 100
Progress = Callable[[int, int, str], None]
Row = dict[str, object]


@dataclass(frozen=True)
class Options:
    """What to measure."""

    samples: int = 5_000  # of each space
    size: int = 64  # px to which every face is brought
    seed: int = 0  # of the samples

    def __post_init__(self) -> None:
        check_numbers(self, {"samples": 2})  # a Frechet distance needs two


def run(
    root: Path, spaces: Sequence[Space], options: Options, folder: Path, progress: Progress
) -> list[Row]:
    """Measure, and write samples.md and samples.csv; rows of space, faces and distance.

    "ratio" is a space's distance over that of the first one. root: a CelebA folder.
    """
    from mien.measure.frechet import frechet_mobilenet, moments, photo_moments

    output_folder(folder)
    train = photo_moments(read_celeba(root, "train").paths, options.size, progress)
    rows: list[Row] = []
    first = 0.0
    for space in spaces:
        found = moments(_samples(space, options, progress))
        distance = frechet_mobilenet(found, train)
        first = first or distance
        rows.append(_row(str(space.card["name"]), found.count, distance, first))
    test = read_celeba(root, "test").paths[: options.samples]
    photos = moments(_photos(test, options.size))
    rows.append(_row("test photos", photos.count, frechet_mobilenet(photos, train), first))
    write_csv(folder / "samples.csv", rows)
    (folder / "samples.md").write_text(markdown(rows) + "\n", encoding="utf-8")
    return rows


def resized(faces: np.ndarray, size: int) -> np.ndarray:
    """Faces float32 [N, 3, S, S] at `size` px: means of square blocks; BadInput unless they fit."""
    side = faces.shape[2]
    if side % size:
        raise BadInput(f"faces of {side} px do not reduce to {size} px; choose a divisor")
    block = side // size
    blocks = faces.reshape(len(faces), 3, size, block, size, block)
    return np.ascontiguousarray(blocks.mean((3, 5)), np.float32)


def _samples(space: Space, options: Options, progress: Progress) -> Iterator[np.ndarray]:
    latent = space.sample(options.samples, options.seed)
    for start in range(0, options.samples, CHUNK):
        yield resized(space.decode(latent[start : start + CHUNK]), options.size)
        done = min(start + CHUNK, options.samples)
        progress(done, options.samples, f"samples of {space.card['name']}")


def _photos(paths: Sequence[Path], size: int) -> Iterator[np.ndarray]:
    pixels = cached_crops(paths, size)
    for start in range(0, len(pixels), CHUNK):
        yield to_unit(pixels[start : start + CHUNK])


def _row(name: str, faces: int, distance: float, first: float) -> Row:
    return {
        "space": name,
        "faces": faces,
        "frechet_mobilenet": round(distance, 2),
        "ratio": round(distance / first, 3) if first else 1.0,
    }

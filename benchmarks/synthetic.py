"""Synthetic galleries for `search.py` and `scale.py`: latents drawn with a given spectrum.

The real spectrum is that of 10,240 photos of faces, encoded by e4e into the W+ of
`stylegan2-64`, 10 layers of 128 numbers (`docs/figures/spectrum.csv`: each principal
component's share of the variance). For 18 x 512 numbers it is stretched: every
component becomes 7.2 that share its variance, so that the same share of the
variance needs 7.2 times as many components. That is the hard way to extend it; were the
new numbers as correlated as the layers are, as few components would do as before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mien.search.bounds import Bounds
from mien.search.codes import CodeOptions, encode, fit_plan
from mien.search.exact import search_many
from mien.search.find import STRESS
from mien.search.gallery import Entries, Gallery
from mien.types import Attributes, Directions, Latent, Query

SIZE, NAMES, K = 9216, 35, 10
MARK, SPACE = "synthetic@0", "w+"
SPECTRUM = Path(__file__).parents[1] / "docs" / "figures" / "spectrum.csv"
MEAN = 3.53  # |mean|^2 of the photos' latents, as a multiple of their variance


def cpu(call: Callable[[], object], repeats: int = 1) -> float:
    """Median CPU milliseconds of one call."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return float(np.median(taken)) * 1000


def real(size: int = SIZE) -> np.ndarray:
    """Eigenvalues [size] of the photos' latents, stretched; their sum is 1."""
    share = np.loadtxt(SPECTRUM, delimiter=",", skiprows=1)[:, 1]
    upto = np.append(0, np.cumsum(share) / share.sum())
    return np.diff(np.interp(np.linspace(0, len(share), size + 1), np.arange(len(upto)), upto))


def power(exponent: float) -> np.ndarray:
    """Eigenvalues [SIZE] that fall as 1/i^exponent."""
    values = np.arange(1, SIZE + 1.0) ** -exponent
    return np.asarray(values / values.sum())


def eigenvalues_of(rows: np.ndarray) -> np.ndarray:
    """Of the covariance of latents [N, D], largest first, each a share of their sum."""
    found = np.maximum(np.linalg.eigvalsh(np.cov(rows.astype(np.float64).T))[::-1], 0)
    return np.asarray(found / found.sum())


class Faces:
    """Gaussian latents with given eigenvalues, and a basis among the strong ones."""

    def __init__(self, values: np.ndarray, size: int = SIZE, seed: int = 0) -> None:
        if size < len(values):  # what is left goes to the last 64 numbers
            values = np.append(values[: size - 64], np.full(64, values[size - 64 :].sum() / 64))
        self.spread = np.sqrt(values).astype(np.float32)
        rng = np.random.default_rng(seed)
        self.mean = rng.normal(0, np.sqrt(MEAN * values.sum() / size), size).astype(np.float32)
        mixed = rng.normal(size=(size, NAMES)) * self.spread[:, None]
        ones = np.ones(NAMES, np.float32)
        self.directions = Directions(
            tuple(f"A{number}" for number in range(NAMES)),
            np.linalg.qr(mixed)[0].astype(np.float32),
            bias=0 * ones, low=-ones, high=ones, unit=ones,
            space=SPACE, model=MARK, orthonormal=True,
        )  # fmt: skip

    def draw(self, count: int, seed: int) -> np.ndarray:
        """float32 [count, size]."""
        rows = np.random.default_rng([seed, 7]).standard_normal(
            (count, len(self.mean)), dtype=np.float32
        )
        rows *= self.spread
        rows += self.mean
        return rows

    def queries(self, count: int) -> list[Query]:
        """New faces; every other one adjusted."""
        found = []
        for row in range(count):
            name = f"A{row % NAMES}"
            wish = ({name: 1.0}, {name: STRESS}) if row % 2 else ({}, {})
            found.append(Query(Latent(self.draw(1, 10_000_000 + row), SPACE, MARK), *wish, K))
        return found


class Held:
    """What `search` asks of a gallery, in memory."""

    folder = Path("memory")

    def __init__(self, values: np.ndarray, vectors: np.ndarray, options: CodeOptions) -> None:
        self.values = values
        self.ids = self.paths = [f"{row:07d}" for row in range(len(values))]
        sample = values[:: max(1, len(values) // options.sample)][: options.sample]
        plan = fit_plan(sample.astype(np.float32), vectors, options)
        self.held = Bounds(plan, encode(plan, values))

    def __len__(self) -> int:
        return len(self.values)

    def check_latent(self, latent: Latent) -> None:
        """All are of one space here."""

    def bounds(self, vectors: np.ndarray) -> Bounds:
        """Of the one basis there is."""
        return self.held

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Latents of some rows."""
        return self.values[rows]


def write_gallery(folder: Path, faces: Faces, count: int) -> Gallery:
    """`count` faces as float16 in a gallery; ids are their numbers."""
    made = Gallery.create(folder, MARK, SPACE, (SIZE,), half=True)
    for start in range(0, count, 2000):
        rows = faces.draw(min(2000, count - start), start)
        ids = tuple(f"{start + row:07d}" for row in range(len(rows)))
        blank = Attributes((), np.empty((len(rows), 0), np.int8))
        made.add(Entries(ids, ids, Latent(rows, SPACE, MARK), blank, (b"",) * len(rows)))
    return made


@dataclass(frozen=True)
class Measured:
    """Of one query: CPU and clock in milliseconds, medians; shares of latents read in full."""

    faces: int
    numbers: int
    bytes: float
    cpu: float
    clock: float
    reads: float
    most: float

    def __str__(self) -> str:
        return (
            f"{self.faces} faces of {self.numbers}, {self.bytes:4.0f} bytes a face: "
            f"{self.cpu:6.2f} ms CPU ({self.clock:.1f} by the clock), read in full: "
            f"median {self.reads:.4%} = {self.reads * self.faces:.0f}, most {self.most:.4%}"
        )


def measure(gallery: Gallery | Held, named: Directions, queries: Sequence[Query]) -> Measured:
    """One query at a time, after one that is not counted."""
    found = []
    search_many(gallery, queries[:1], named)
    for query in queries:
        wall, start = time.perf_counter(), time.process_time()
        (answer,) = search_many(gallery, [query], named)
        spent = time.process_time() - start, time.perf_counter() - wall, answer.reads / answer.faces
        found.append(spent)
    busy, wall, reads = np.array(found).T
    bounds = gallery.bounds(named.vectors)
    return Measured(
        len(gallery), named.vectors.shape[0], bounds.bytes_each,
        float(np.median(busy)) * 1000, float(np.median(wall)) * 1000,
        float(np.median(reads)), float(reads.max()),
    )  # fmt: skip


def fewer(bounds: Bounds, stages: int) -> Bounds:
    """The same codes without their later stages."""
    plan, codes = bounds.plan, bounds.codes
    count = plan.stages[stages - 1].stop
    return Bounds(
        replace(plan, components=plan.components[:count], scales=plan.scales[:count]),
        replace(codes, blocks=codes.blocks[: stages - 1], misses=codes.misses[: stages - 1],
                tails=codes.tails[:stages].copy()),
    )  # fmt: skip

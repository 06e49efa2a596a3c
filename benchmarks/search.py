"""Exact search by codes: beside the textbook formula, at 100,000 faces and at a million.

    python benchmarks/search.py [--temp FOLDER] [--faces N] [--parts a,b,c,d] [--exponent A]

a  2,000 faces of 9,216 numbers, 35 attributes: the formula as published code
   computes it, with I - F F' made for every query, beside ours; the rankings
   must be the same.
b  --faces faces of 9,216 numbers as float16 on the disk, in a gallery that is
   written to --temp and deleted afterwards: milliseconds a query, latents read in
   full, and how reads fall with the bytes of a code.
c  ten times as many faces by their codes alone (their latents are folded to 768 numbers).
d  how reads depend on how fast the spectrum of the latents falls.

No encoder of 18 x 512 latents is at hand, so latents are Gaussian with the
eigenvalues 1/i^A. A is fitted to the spectrum of `stylegan2-64`'s latents, over
the components that hold 99.9 % of their variance. Queries are new faces, half of
them adjusted with the weight that `mien find` gives.
Times are CPU time of one thread: run with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.search.bounds import Bounds
from mien.search.codes import CodeOptions, encode, fit_plan
from mien.search.exact import search, search_many
from mien.search.find import STRESS
from mien.search.gallery import Entries, Gallery
from mien.types import Attributes, Directions, Latent, Query

SIZE, NAMES, K = 9216, 35, 10
MARK, SPACE = "synthetic@0", "w+"


def cpu(call: Callable[[], object], repeats: int = 1) -> float:
    """Median CPU milliseconds of one call."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return float(np.median(taken)) * 1000


def fitted_exponent() -> float:
    """Of a power law through the spectrum of `stylegan2-64`'s latents."""
    from mien.generators import open_space

    rows = open_space("stylegan2-64").sample(20_000, seed=0).values[:, 0].astype(np.float64)
    found = np.linalg.eigvalsh(np.cov(rows.T))[::-1]
    share = np.cumsum(found) / found.sum()
    index = np.arange(1, len(found) + 1)
    fits = {}
    for part in (0.98, 0.999, 1.0):
        count = min(len(found), int(np.searchsorted(share, part)) + 1)
        fits[part] = -np.polyfit(np.log(index[:count]), np.log(found[:count]), 1)[0]
        print(f"  {part:.1%} of the variance in {count} components: 1/i^{fits[part]:.2f}")
    return float(fits[0.999])


class Faces:
    """Latents drawn with eigenvalues 1/i^exponent, and a basis among the strong ones."""

    def __init__(self, exponent: float, size: int = SIZE, seed: int = 0) -> None:
        values = np.arange(1, SIZE + 1.0) ** -exponent
        if size < SIZE:  # what is left goes to the last 64 numbers
            values = np.append(values[: size - 64], np.full(64, values[size - 64 :].sum() / 64))
        self.spread = np.sqrt(values).astype(np.float32)
        rng = np.random.default_rng(seed)
        self.mean = rng.normal(0, 0.3, size).astype(np.float32)
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

    def __init__(self, values: np.ndarray, faces: Faces, options: CodeOptions) -> None:
        self.values = values
        self.ids = self.paths = [f"{row:07d}" for row in range(len(values))]
        sample = values[:: max(1, len(values) // options.sample)][: options.sample]
        plan = fit_plan(sample.astype(np.float32), faces.directions.vectors, options)
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


def textbook(values: np.ndarray, query: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Rows by distance, with (I - F F') made as the published code makes it (all weights 1)."""
    import torch

    w, f, q = (torch.from_numpy(array) for array in (values, basis, query))
    outside = torch.eye(len(f)) - f @ f.T
    delta = q - w
    along, rest = delta @ f, delta @ outside
    distance = (along**2).sum(1) + (rest**2).sum(1)
    return torch.argsort(distance).numpy()


def part_a(exponent: float) -> None:
    """The textbook formula and ours, on the same faces in one run."""
    import torch

    torch.set_num_threads(1)
    faces = Faces(exponent)
    values = faces.draw(2000, 0)
    held = Held(values, faces, CodeOptions(size=600))
    queries = [replace(query, adjust={}, prefer={}) for query in faces.queries(16)]
    named, query = faces.directions, queries[0]
    start = time.process_time()
    rows = textbook(values, query.latent.flat, named.vectors)
    plain = (time.process_time() - start) * 1000
    ours = [int(hit.id) for hit in search(held, replace(query, k=len(values)), named)]
    print(f"  same top {K} as the textbook's: {ours[:K] == rows[:K].tolist()}; ", end="")
    print(
        f"ranks where its float32 has another face: {np.sum(np.array(ours) != rows)} of 2,000; ",
        end="",
    )
    delta = query.latent.flat.astype(np.float64) - values
    along = delta @ named.vectors.astype(np.float64)
    rest = delta - along @ named.vectors.T.astype(np.float64)
    double = np.argsort((along**2).sum(1) + (rest**2).sum(1), kind="stable")
    print(f"in float64: {np.sum(np.array(ours) != double)}")
    single = np.median([cpu(lambda q=q: search(held, q, named), 5) for q in queries])
    batch = cpu(lambda: search_many(held, queries, named), 9) / len(queries)
    print(f"  textbook      {plain:9.2f} ms a query")
    print(f"  ours, single  {single:9.2f} ms a query   {plain / single:,.0f} times")
    print(f"  ours, of 16   {batch:9.2f} ms a query   {plain / batch:,.0f} times")


def write_gallery(folder: Path, faces: Faces, count: int) -> Gallery:
    """`count` faces as float16 in a gallery; ids are their numbers."""
    made = Gallery.create(folder, MARK, SPACE, (SIZE,), half=True)
    for start in range(0, count, 2000):
        rows = faces.draw(min(2000, count - start), start)
        ids = tuple(f"{start + row:07d}" for row in range(len(rows)))
        blank = Attributes((), np.empty((len(rows), 0), np.int8))
        made.add(Entries(ids, ids, Latent(rows, SPACE, MARK), blank, (b"",) * len(rows)))
    return made


def measure(gallery: Gallery | Held, faces: Faces, count: int, check: bool = False) -> str:
    """One line: CPU and wall time, reads, bytes."""
    queries, named, found = faces.queries(count), faces.directions, []
    search_many(gallery, queries[:1], named)
    for query in queries:
        wall, start = time.perf_counter(), time.process_time()
        (answer,) = search_many(gallery, [query], named)
        spent = time.process_time() - start, time.perf_counter() - wall, answer.reads / answer.faces
        found.append(spent)
    busy, wall, reads = np.array(found).T
    bounds = gallery.bounds(named.vectors)
    text = (
        f"{bounds.bytes_each:5.0f} bytes a face  {np.median(busy) * 1000:7.2f} ms CPU "
        f"({np.median(wall) * 1000:.1f} ms by the clock)  read in full: median "
        f"{np.median(reads):.3%}, most {reads.max():.3%}"
    )
    if check:
        batch = cpu(lambda: search_many(gallery, queries, named), 3) / len(queries)
        text += f"; {batch:.2f} ms each in one batch of {count}"
    return text


def fewer(bounds: Bounds, stages: int) -> Bounds:
    """The same codes without their later stages."""
    plan, codes = bounds.plan, bounds.codes
    count = plan.stages[stages - 1].stop
    return Bounds(
        replace(plan, components=plan.components[:count], scales=plan.scales[:count]),
        replace(codes, blocks=codes.blocks[: stages - 1], misses=codes.misses[: stages - 1],
                tails=codes.tails[:stages].copy()),
    )  # fmt: skip


def brute(gallery: Gallery, query: Query, named: Directions) -> list[str]:
    """Ids of the nearest by the plain formula over every latent, in float64."""
    from mien.search.distance import explain
    from mien.search.exact import as_asked

    asked, found = as_asked(query, named), []
    for start in range(0, len(gallery), 5000):
        rows = np.arange(start, min(start + 5000, len(gallery)))
        given = (asked.latent, asked.vectors, asked.move, asked.weights, named.gram)
        found += list(zip(explain(gallery.rows(rows), *given).distance, rows, strict=True))
    return [f"{row:07d}" for _, row in sorted(found)[: query.k]]


def part_b(exponent: float, count: int, temp: Path | None) -> None:
    """A gallery on the disk, larger than what is kept of it in memory."""
    faces = Faces(exponent)
    with tempfile.TemporaryDirectory(dir=temp) as folder:
        start = time.perf_counter()
        made = write_gallery(Path(folder) / "g", faces, count)
        size = sum(path.stat().st_size for path in made.folder.iterdir())
        print(f"  written: {count} faces, {size / 1e9:.2f} GB, {time.perf_counter() - start:.0f} s")
        spent = cpu(lambda: made.compress(faces.directions.vectors, CodeOptions()))
        print(f"  codes made once: {spent / 1000:.0f} s of CPU")
        spent = cpu(lambda: Gallery.open(made.folder), 3)
        gallery = Gallery.open(made.folder)
        print(f"  opened in {spent:.0f} ms; codes read in ", end="")
        print(f"{cpu(lambda: gallery.bounds(faces.directions.vectors)):.0f} ms")
        print(" ", measure(gallery, faces, 40, check=True))
        query = faces.queries(1)[0]
        same = [hit.id for hit in search(gallery, query, faces.directions)]
        print("  same as comparing every face:", same == brute(gallery, query, faces.directions))
        whole = gallery.bounds(faces.directions.vectors)
        for stages in range(1, len(whole.plan.stages) + 1):
            gallery._bounds = faces.directions.vectors, fewer(whole, stages)
            print("   ", measure(gallery, faces, 10))


def part_c(exponent: float, count: int) -> None:
    """Ten times as many faces, by their codes in memory."""
    faces = Faces(exponent, size=768)
    values = np.empty((count, 768), np.float16)
    for start in range(0, count, 20_000):
        values[start : start + 20_000] = faces.draw(min(20_000, count - start), start)
    held = Held(values, faces, CodeOptions())
    print(f"  {count} faces:", measure(held, faces, 20), flush=True)


def part_d(exponents: Sequence[float], count: int = 20_000) -> None:
    """Reads by exponent."""
    for exponent in exponents:
        faces = Faces(exponent)
        held = Held(faces.draw(count, 0), faces, CodeOptions(sample=4000))
        print(f"  1/i^{exponent:.2f}, {count} faces:", measure(held, faces, 10), flush=True)


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--temp", type=Path, help="where part b writes, 1.9 GB for 100,000 faces")
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--parts", default="a,b,c,d")
    parser.add_argument("--exponent", type=float, help="of the spectrum; fitted when not given")
    options = parser.parse_args()
    exponent = options.exponent or fitted_exponent()
    runs = {
        "a": lambda: part_a(exponent),
        "b": lambda: part_b(exponent, options.faces, options.temp),
        "c": lambda: part_c(exponent, 10 * options.faces),
        "d": lambda: part_d((1.0, 1.2, 1.4, exponent, 2.1)),
    }
    for name in options.parts.split(","):
        print(f"{name}, eigenvalues 1/i^{exponent:.2f}", flush=True)
        runs[name]()


if __name__ == "__main__":
    main()

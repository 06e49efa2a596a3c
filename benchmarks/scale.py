"""How exact search grows: 10,000, 100,000 and 1,000,000 faces.

    python benchmarks/scale.py --temp FOLDER [--gallery GALLERY] [--faces N ...] [-o FOLDER]

Galleries of up to 100,000 faces lie on the disk as 9,216 numbers of float16, are
written to --temp and deleted afterwards (1.9 GB). A million is by its codes in memory,
1 GB; its latents are folded to 768 numbers, 1.5 GB. Latents are synthetic with
the spectrum of real ones (`synthetic.py`). --gallery also measures a gallery of
photos as it is, its last 200 faces as queries. Every other query is adjusted, with the weight that
`mien find` gives. Each size is measured with 1,000 bytes a face and with fewer stages of
the same codes. Writes scale.csv and scale.png to -o, a row as soon as it is
measured; rows of other sizes that the file already has are kept. Times are CPU time of one
thread: run with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
from synthetic import Faces, Held, K, Measured, cpu, fewer, measure, real, write_gallery

from mien.directions import open_directions
from mien.search.codes import CodeOptions
from mien.search.distance import explain
from mien.search.exact import as_asked, search
from mien.search.find import STRESS
from mien.search.gallery import Gallery
from mien.types import Directions, Query

FOLDED = 768  # numbers of a latent where there are too many to keep whole
MOST = 100_000  # faces that are kept whole
FIELDS = ["gallery", *(field.name for field in fields(Measured))]


class Table:
    """Rows of scale.csv, written whenever one is added."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, str]] = []
        if path.exists():
            with path.open(encoding="utf-8") as file:
                self.rows = list(csv.DictReader(file))

    def begin(self, gallery: str, faces: int) -> None:
        """Forget what was measured of a gallery of that size before."""
        self.rows = [r for r in self.rows if (r["gallery"], r["faces"]) != (gallery, str(faces))]

    def add(self, gallery: str, found: Measured) -> None:
        """Print and keep a row."""
        print(f"  {gallery}: {found}", flush=True)
        row = {name: f"{value:.6g}" for name, value in asdict(found).items()}
        self.rows.append({"gallery": gallery} | row | {"faces": str(found.faces)})
        with self.path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, FIELDS)
            writer.writeheader()
            writer.writerows(sorted(self.rows, key=lambda r: (r["gallery"], int(r["faces"]))))


def brute(gallery: Gallery, query: Query, named: Directions) -> list[str]:
    """Ids of the nearest by the plain formula over every latent, in float64."""
    asked, found = as_asked(query, named), []
    for start in range(0, len(gallery), 5000):
        rows = np.arange(start, min(start + 5000, len(gallery)))
        given = (asked.latent, asked.vectors, asked.move, asked.weights, named.gram)
        found += list(zip(explain(gallery.rows(rows), *given).distance, rows, strict=True))
    return [gallery.ids[row] for _, row in sorted(found)[: query.k]]


def by_bytes(
    gallery: Gallery | Held, named: Directions, queries: list[Query], table: Table, name: str
) -> None:
    """The whole code, then fewer and fewer stages of it."""
    whole = gallery.bounds(named.vectors)
    table.begin(name, len(gallery))
    table.add(name, measure(gallery, named, queries))
    for stages in range(len(whole.plan.stages) - 1, 0, -1):
        less = fewer(whole, stages)
        if isinstance(gallery, Held):
            gallery.held = less
        else:
            gallery._bounds = named.vectors, less
        table.add(name, measure(gallery, named, queries[:10]))


def on_disk(count: int, temp: Path, table: Table) -> None:
    """A gallery of whole latents, larger than what is kept of it in memory."""
    faces = Faces(real())
    with tempfile.TemporaryDirectory(dir=temp) as folder:
        spent = cpu(lambda: write_gallery(Path(folder) / "g", faces, count))
        gallery = Gallery.open(Path(folder) / "g")
        size = sum(path.stat().st_size for path in gallery.folder.iterdir())
        print(f"  written: {count} faces, {size / 1e9:.2f} GB, {spent / 1000:.0f} s of CPU")
        spent = cpu(lambda: gallery.compress(faces.directions.vectors, CodeOptions()))
        print(f"  codes made once: {spent / 1000:.0f} s of CPU", flush=True)
        gallery, queries = Gallery.open(gallery.folder), faces.queries(40)
        spent = cpu(lambda: gallery.bounds(faces.directions.vectors))
        print(f"  codes read in {spent:.0f} ms")
        for query in queries[:2]:  # opens every file, too
            same = [hit.id for hit in search(gallery, query, faces.directions)]
            print("  same as comparing all:", same == brute(gallery, query, faces.directions))
        by_bytes(gallery, faces.directions, queries, table, "synthetic")


def in_memory(count: int, table: Table, name: str = "folded") -> None:
    """Codes, and latents folded to 768 numbers."""
    faces = Faces(real(), size=FOLDED)
    values = np.empty((count, FOLDED), np.float16)
    for start in range(0, count, 20_000):
        values[start : start + 20_000] = faces.draw(min(20_000, count - start), start)
    held = Held(values, faces.directions.vectors, CodeOptions())
    by_bytes(held, faces.directions, faces.queries(20), table, name)


def of_photos(folder: Path, basis: str, table: Table) -> None:
    """A gallery of photos; its last 200 faces are the queries."""
    given, named = Gallery.open(folder).latent, open_directions(basis)
    held = Held(given.flat[:-200], named.vectors, CodeOptions())
    queries = []
    for row in range(200):
        name = named.names[row % len(named.names)]
        wish = ({name: 1.0}, {name: STRESS}) if row % 2 else ({}, {})
        queries.append(Query(given[len(given) - 200 + row :][:1], *wish, K))
    by_bytes(held, named, queries, table, "photos")


def draw(rows: list[dict[str, str]], path: Path) -> None:
    """Latency and reads by faces, and reads by bytes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    time, reads, curve = figure.subplots(1, 3)
    found = [{k: v if k == "gallery" else float(v) for k, v in row.items()} for row in rows]
    labels = {"synthetic": "9,216 numbers on disk", "folded": "folded to 768, in memory",
              "photos": "photos, 1,280 numbers"}  # fmt: skip
    for name, label in labels.items():
        own = [row for row in found if row["gallery"] == name]
        if not own:
            continue
        sizes = sorted({row["faces"] for row in own})
        full = [max((r for r in own if r["faces"] == n), key=lambda r: r["bytes"]) for n in sizes]
        for axes, key, scale in ((time, "cpu", 1), (reads, "reads", 100)):
            axes.plot(sizes, [scale * row[key] for row in full], "o-", label=label)
        for size in sizes:
            line = sorted((r for r in own if r["faces"] == size), key=lambda r: r["bytes"])
            points = [row["bytes"] for row in line], [100 * row["reads"] for row in line]
            curve.plot(*points, ".-", label=f"{size:,.0f} {name}")
    for axes, title in ((time, "CPU ms a query, 1,000 bytes a face"),
                        (reads, "% of latents read in full"),
                        (curve, "% read in full by bytes a face")):  # fmt: skip
        axes.set_title(title, fontsize=10)
        axes.set_yscale("log")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    for axes in (time, reads):
        axes.set(xscale="log", xlim=(5e3, 2e6))
        axes.set_xlabel("faces")
    curve.set_xlabel("bytes a face")
    figure.savefig(path, dpi=100)


def main() -> None:
    """Measure the sizes asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--temp", type=Path, required=True)
    parser.add_argument("--gallery", type=Path, help="of photos, as `mien gallery build` makes it")
    parser.add_argument("--basis", default="stylegan2-64-basis", help="for --gallery")
    parser.add_argument("--faces", type=int, nargs="*", default=[10_000, MOST, 10 * MOST])
    parser.add_argument("-o", "--out", type=Path, default=Path("docs/figures"))
    options = parser.parse_args()
    table = Table(options.out / "scale.csv")
    if options.gallery:
        of_photos(options.gallery, options.basis, table)
    for count in options.faces:
        if count <= MOST:
            on_disk(count, options.temp, table)
        if count >= MOST:  # at MOST both, so that what folding saves is seen
            in_memory(count, table)
    draw(table.rows, options.out / "scale.png")


if __name__ == "__main__":
    main()

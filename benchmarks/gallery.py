"""Gallery speed: photos encoded a second, and milliseconds a search, beside plain alternatives.

    python benchmarks/gallery.py CELEBA_FOLDER [PHOTOS]

In one run: `build_gallery` against decoding alone (what no encoder can beat)
and against a loop of one photo at a time; `search` against the direct formula
in NumPy. Needs an otherwise idle machine; ratios are what to quote.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mien.directions import open_directions
from mien.faces.align import aligned_face
from mien.faces.celeba import read_celeba
from mien.faces.read import read_photo
from mien.generators import open_space
from mien.runtime.precision import precision
from mien.search.build import BuildOptions, build_gallery
from mien.search.exact import search
from mien.search.gallery import Gallery
from mien.types import Query

REPEATS = 50


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main(root: Path, count: int) -> None:
    """Print a table of photos a second and one of milliseconds a query."""
    data = read_celeba(root, "test").rows(slice(count))
    space = open_space()
    space.encode(np.zeros((32, 3, space.size, space.size), np.float32))  # first call: set-up

    def loop() -> None:
        for path in data.paths[:200]:
            space.encode(aligned_face(read_photo(path), space.size).pixels[None])

    with tempfile.TemporaryDirectory() as folder:
        gallery = Path(folder) / "gallery"
        options = BuildOptions(root=root, aligned=True)
        built = count / seconds(lambda: build_gallery(gallery, data.paths, space, options))
        with precision("bf16"):
            other = Path(folder) / "bf16"
            half = count / seconds(lambda: build_gallery(other, data.paths, space, options))
        alone = 200 / seconds(lambda: [read_photo(path) for path in data.paths[:200]])
        single = 200 / seconds(loop)
        print(f"build_gallery      {built:7.0f} photos/s   1.00")
        print(f"the same in bf16   {half:7.0f} photos/s   {half / built:.2f}")
        print(f"one photo a time   {single:7.0f} photos/s   {single / built:.2f}")
        print(f"decoding, 1 core   {alone:7.0f} photos/s   {alone / built:.2f}")
        time_search(Gallery.open(gallery))


def time_search(gallery: Gallery) -> None:
    """Milliseconds a query: median over repeats, in turn with the direct formula."""
    basis = open_directions("vae-128-basis")
    values = gallery.latent.flat
    query = Query(gallery.latent[:1], {"Smiling": 1.0}, {"Eyeglasses": 3.0})
    weights = np.ones(len(basis.names))

    def direct() -> np.ndarray:
        delta = values[:1] - values
        along = delta @ basis.vectors
        rest = delta - along @ basis.vectors.T
        distance = (weights * along**2).sum(1) + (rest**2).sum(1)
        return np.argsort(distance)[:10]

    search(gallery, query, basis)
    pairs = [
        (seconds(lambda: search(gallery, query, basis)), seconds(direct)) for _ in range(REPEATS)
    ]
    ours, plain = np.median(np.array(pairs), axis=0) * 1000
    print(f"search, {len(gallery)} faces {ours:6.2f} ms   1.00")
    print(f"direct formula     {plain:6.2f} ms   {plain / ours:.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3000)

"""Exact search by codes, beside the textbook formula and by how the spectrum falls.

    python benchmarks/search.py [--parts a,d]

a  2,000 faces of 9,216 numbers, 35 attributes: the formula as published code
   computes it, with I - F F' made for every query, beside ours; the rankings
   must be the same.
d  how reads depend on how fast the spectrum of the latents falls.

How search grows with the gallery is `scale.py`'s. Latents are Gaussian, of the
spectrum of real ones (`synthetic.py`) or of eigenvalues 1/i^A.
Times are CPU time of one thread: run with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from synthetic import Faces, Held, K, cpu, measure, power, real

from mien.search.codes import CodeOptions
from mien.search.distance import rank
from mien.search.exact import order_many, search, search_many
from mien.types import Directions, Query

LEAD = 160  # of so few faces a longer first look is cheaper than later ones


def textbook(values: np.ndarray, query: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Rows by distance, with (I - F F') made as the published code makes it (all weights 1)."""
    import torch

    w, f, q = (torch.from_numpy(array) for array in (values, basis, query))
    outside = torch.eye(len(f)) - f @ f.T
    delta = q - w
    along, rest = delta @ f, delta @ outside
    distance = (along**2).sum(1) + (rest**2).sum(1)
    return torch.argsort(distance).numpy()


def in_double(values: np.ndarray, query: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Rows by distance, in float64."""
    delta = query.astype(np.float64) - values
    along = delta @ basis.astype(np.float64)
    rest = delta - along @ basis.T.astype(np.float64)
    return np.argsort((along**2).sum(1) + (rest**2).sum(1), kind="stable")


def compare(values: np.ndarray, held: Held, queries: Sequence[Query], named: Directions) -> None:
    """Whether ours are the textbook's rankings."""
    for query in queries:
        rows = textbook(values, query.latent.flat, named.vectors)
        double = in_double(values, query.latent.flat, named.vectors)
        ours = np.array([int(hit.id) for hit in search(held, replace(query, k=len(values)), named)])
        (top,) = order_many(held, [query], named)
        print(
            f"  top {K} as the textbook's: {[int(name) for name in top] == rows[:K].tolist()}; "
            f"of all 2,000 ranks other than in float64: ours {np.sum(ours != double)}, "
            f"the textbook's float32 {np.sum(rows != double)}"
        )


def part_a(faces: Faces) -> None:
    """The textbook formula and ours, on the same faces, by turns in one run."""
    import torch

    torch.set_num_threads(1)
    values, named = faces.draw(2000, 0), faces.directions
    held = Held(values, named.vectors, CodeOptions(lead=LEAD, size=800))
    queries = [replace(query, adjust={}, prefer={}) for query in faces.queries(16)]
    compare(values, held, queries[:3], named)
    latents = np.concatenate([query.latent.flat for query in queries])
    still, ones = np.zeros((16, named.vectors.shape[1])), np.ones((16, named.vectors.shape[1]))
    whole = [replace(query, k=len(values)) for query in queries]
    ways = {
        "order, one": lambda at: order_many(held, queries[at : at + 1], named),
        "order, of 16": lambda at: order_many(held, queries, named),
        "with shares, one": lambda at: search(held, queries[at], named),
        "with shares, of 16": lambda at: search_many(held, queries, named),
        "all 2,000, one": lambda at: order_many(held, whole[at : at + 1], named),
        "all 2,000, of 16": lambda at: rank(values, latents, named.vectors, still, ones),
    }
    plain: list[float] = []
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(5):
        query = queries[turn].latent.flat
        plain.append(cpu(lambda query=query: textbook(values, query, named.vectors)))
        for name, way in ways.items():
            each = 16 if name.endswith("16") else 1
            repeats = 1 if name.startswith("all") else 9
            spent[name].append(cpu(lambda way=way, turn=turn: way(turn), repeats) / each)
    print(f"  textbook            {np.median(plain):9.2f} ms a query")
    for name, times in spent.items():
        once = float(np.median(times))
        print(f"  {name:19} {once:9.2f} ms a query   {np.median(plain) / once:,.0f} times")


def part_d(exponents: Sequence[float], count: int = 20_000) -> None:
    """Reads by exponent."""
    kinds = {"real": real()} | {f"1/i^{exponent}": power(exponent) for exponent in exponents}
    for name, values in kinds.items():
        faces = Faces(values)
        held = Held(faces.draw(count, 0), faces.directions.vectors, CodeOptions(sample=4000))
        print(f"  {name}:", measure(held, faces.directions, faces.queries(10)), flush=True)


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parts", default="a,d")
    options = parser.parse_args()
    runs = {
        "a": lambda: part_a(Faces(real())),
        "d": lambda: part_d((1.0, 1.2, 1.4, 1.67, 2.1)),
    }
    for name in options.parts.split(","):
        print(name, flush=True)
        runs[name]()


if __name__ == "__main__":
    main()

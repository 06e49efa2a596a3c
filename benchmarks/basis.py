"""Learning the sparse orthogonal basis: an epoch beside the published loop, and the way down.

    python benchmarks/basis.py [--faces N] [--size D] [--gallery FOLDER] [--epochs E] [--parts a,b]

a  N faces of D numbers, 35 attributes: an epoch as the reproduction's code does it (one
   autograd pass an attribute, then Algorithm 1 by complex eigenvectors) beside ours, fp32
   both, on the same numbers; the losses of both. Synthetic latents with a falling spectrum.
b  A gallery with known attributes: the validation loss that the reproduction's settings
   (Xavier, plain descent at 1e-4, no l1) reach in E epochs, and the time until ours is
   below it. A tenth of the faces validate.

Times are CPU time of all threads.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mien.directions.orthogonal_basis import Fitted, Options, fit_basis

NAMES = 35
PUBLISHED = Options(
    initialise="xavier", learning_rate=1e-4, l1=0, patience=1_000_000, precision="float32",
    centre=False,
)  # fmt: skip
OURS = Options(optimiser="Adam", learning_rate=0.01, l1=0, precision="float32")


class Timed:
    """A `report` that keeps the CPU seconds at which each epoch was done, and can stop."""

    def __init__(self, below: float = -np.inf) -> None:
        self.rows: list[dict[str, float]] = []
        self.at: list[float] = []
        self.below, self.start = below, time.process_time()

    def __call__(self, row: dict[str, float]) -> None:
        self.rows.append(row)
        self.at.append(time.process_time() - self.start)
        if row["validation"] <= self.below:
            raise StopIteration


def synthetic(faces: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(latents float32 [N, D], labels int8 [N, M]): noisy linear attributes."""
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((faces, size), dtype=np.float32)
    latents *= (np.arange(1, size + 1.0) ** -0.5).astype(np.float32)
    scores = latents[:, :500] @ rng.standard_normal((500, NAMES), dtype=np.float32)
    scores += scores.std(0) * rng.standard_normal(scores.shape, dtype=np.float32)
    return latents, np.where(scores > 0.5 * scores.std(0), 1, -1).astype(np.int8)


def textbook(
    latents: np.ndarray, labels: np.ndarray, vectors: np.ndarray, options: Options, epochs: int
) -> tuple[list[float], list[float]]:
    """(CPU seconds, train loss) of every epoch of the published loop."""
    w, y = torch.from_numpy(latents), torch.from_numpy(labels.astype(np.float32))
    f = torch.from_numpy(vectors.astype(np.float32))
    columns = [f[:, m].clone().requires_grad_() for m in range(f.shape[1])]
    biases = [torch.zeros(1, requires_grad=True) for _ in columns]
    taken, losses = [], []
    for _ in range(epochs):
        start, total = time.process_time(), 0.0
        for m, (column, bias) in enumerate(zip(columns, biases, strict=True)):
            loss = torch.clamp(1 - y[:, m] * (w @ column + bias), min=0).mean()
            loss = loss + options.l1 * column.abs().sum()
            slopes = torch.autograd.grad(loss, (column, bias))
            with torch.no_grad():
                column -= options.learning_rate * slopes[0]
                bias -= options.learning_rate * slopes[1]
            total += float(loss.detach())
        with torch.no_grad():
            nearest = _nearest(torch.stack([column.detach() for column in columns], 1))
            for column, found in zip(columns, nearest.T, strict=True):
                column.copy_(found)
        taken.append(time.process_time() - start)
        losses.append(total)
    return taken, losses


def _nearest(f: torch.Tensor) -> torch.Tensor:
    """Algorithm 1 by the general eigen-decomposition of the Gram matrix's inverse."""
    lengths = f.norm(dim=0)
    unit = f / lengths
    values, basis = torch.linalg.eig(torch.linalg.inv(unit.T @ unit))
    root = (basis @ torch.diag(values.sqrt()) @ torch.linalg.inv(basis)).real
    return (unit @ root) * lengths


def part_a(faces: int, size: int) -> None:
    """One epoch of both."""
    latents, labels = synthetic(faces, size)
    options = replace(PUBLISHED, l1=0.005, epochs=4)
    bound = np.sqrt(6 / (size + NAMES))
    vectors = np.random.default_rng(1).uniform(-bound, bound, (size, NAMES))
    few = (latents[:100], labels[:100])  # validation costs the same in both, and is left out here
    taken, wanted = textbook(latents, labels, vectors, options, 3)
    plain = float(np.median(taken))
    print(f"  published loop {plain:8.2f} s an epoch")
    for name in ("float32", "bfloat16"):
        seen = Timed()
        fit_basis(latents, labels, few, replace(options, precision=name), vectors, seen)
        ours = float(np.median(np.diff(seen.at)))
        apart = max(
            abs(row["train"] - loss) / loss for row, loss in zip(seen.rows, wanted, strict=False)
        )
        text = f"{plain / ours:.1f} times; losses of three epochs within {apart:.1e} relative"
        print(f"  ours {name:9} {ours:8.3f} s   {text}")


def part_b(gallery: Path, epochs: int) -> None:
    """How soon ours is as good as the reproduction's settings after many epochs."""
    from mien.search.gallery import Gallery

    opened = Gallery.open(gallery)
    table = opened.attributes.table
    held = np.arange(len(opened)) % 10 == 0
    latents = opened.latent.flat
    train, valid = (latents[~held], table[~held]), (latents[held], table[held])
    print(f"  {len(latents):,} faces x {latents.shape[1]:,}, {table.shape[1]} attributes")
    found = _timed(lambda r: fit_basis(*train, valid, replace(PUBLISHED, epochs=epochs), report=r))
    best = min(row["validation"] for row in found.rows)
    print(f"  published settings: {best:.4f} in {len(found.rows):,} epochs, {found.at[-1]:.1f} s")
    for name, options in (("Adam", OURS), ("Adam, l1 1e-4", replace(OURS, l1=1e-4))):
        chosen = replace(options, epochs=2000, patience=2000)
        ours = _timed(lambda r, o=chosen: fit_basis(*train, valid, o, report=r), best)
        reached = ours.rows[-1]["validation"] <= best
        text = (
            "below it" if reached else f"{min(r['validation'] for r in ours.rows):.4f}, above it,"
        )
        print(f"  {name:18} {text} after {len(ours.rows)} epochs, {ours.at[-1]:.2f} s")


def _timed(run: Callable[[Timed], Fitted], below: float = -np.inf) -> Timed:
    report = Timed(below)
    with contextlib.suppress(StopIteration):
        run(report)
    return report


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--faces", type=int, default=15_000)
    parser.add_argument("--size", type=int, default=9_216)
    parser.add_argument("--gallery", type=Path, help="of part b: faces with known attributes")
    parser.add_argument("--epochs", type=int, default=10_000, help="of the published settings")
    parser.add_argument("--parts", default="a")
    options = parser.parse_args()
    for name in options.parts.split(","):
        print(name, flush=True)
        part_a(options.faces, options.size) if name == "a" else part_b(
            options.gallery, options.epochs
        )


if __name__ == "__main__":
    main()

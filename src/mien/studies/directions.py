"""What directions do and what they drag along: the entanglement report.

For every finder: how well its hyperplanes separate held-out faces; the rescoring
matrix, that is how a recogniser's readings of all attributes change when faces
move along each direction by 1 (each face to the other side: towards the attribute if
it lacks it, away from it if it has it); the cosines between directions; and how much of
the person is kept. Shen et al. (TPAMI 2020, section 4) report the first three. The
finders are ranked for every attribute by merit, the harmonic mean of the effect
and its purity. Nameless components are listed with the attribute they move most.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.checks import check_numbers
from mien.directions import edit
from mien.directions.contract import Labelled
from mien.errors import BadInput
from mien.generators.contract import Space
from mien.measure.disentangle import change, separability, towards
from mien.recognise import identity
from mien.recognise.any_size import Reads, resized
from mien.studies._entanglement import TITLES, Candidate, Measured, report_of, write_report
from mien.studies._split import Progress
from mien.studies._table import output_folder
from mien.studies._verdict import effect_of
from mien.types import Directions, Latent

IDENTITY_SIZE = 128  # px at least of the faces whose identity is compared

__all__ = [
    "TITLES", "Bench", "Candidate", "Measured", "Options", "Start", "measure", "run", "start_of",
]  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What to measure."""

    faces: int = 48  # moved along every direction
    identity: int = 4  # of them, compared by identity: 0.1 s each
    amount: float = 1.0  # of named directions, in their units
    reach: float = 2.5  # unit of directions fitted here, in distances between the class means;
    # calibrated directions of vae-128 take 1.4 to 4.2
    component_amount: float = 3.0  # of nameless ones: 3 standard deviations for pca
    components: int = 10  # nameless ones measured, of each finder
    seed: int = 0  # of the choice of faces

    def __post_init__(self) -> None:
        signed = dict.fromkeys(("amount", "component_amount"), -math.inf)
        check_numbers(self, {"identity": 0, "components": 0, **signed})


@dataclass(frozen=True)
class Bench:
    """What takes part: the space, the recogniser that reads, and held-out faces.

    reader: reads faces of the space's size (`mien.recognise.any_size`).
    """

    space: Space
    reader: Reads
    held: Labelled
    embed: Callable[[np.ndarray], np.ndarray] = identity.embed


def run(
    candidates: Sequence[Candidate], bench: Bench, options: Options, folder: Path,
    progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Measure all candidates; write directions.{md,json}, a CSV a table, and heat maps.

    Returns what directions.json holds: tables of rows, matrices and cosines. Raises
    BadInput without candidates or faces.
    """
    if not candidates or not len(bench.held.latent):
        raise BadInput("there is nothing to judge; give directions and held-out faces")
    output_folder(folder)
    start = start_of(bench, options)
    total = sum(len(_names(c.directions, options)) for c in candidates)
    measured: list[Measured] = []
    for candidate in candidates:
        done = sum(len(before.names) for before in measured)
        measured.append(measure(candidate, bench, start, options, (done, total, progress)))
    held = bench.held.attributes
    report = report_of(measured, bench.space.mark, bench.reader.names, held)
    write_report(report, measured, folder)
    return report


@dataclass(frozen=True)
class Start:
    """The faces before anything moves: latents, readings [N, M], identities of the first few."""

    latent: Latent
    read: np.ndarray
    people: np.ndarray


def start_of(bench: Bench, options: Options) -> Start:
    """The held-out faces that options choose, before they move."""
    order = np.random.default_rng(options.seed).permutation(len(bench.held.latent))
    latent = bench.held.latent[np.sort(order[: options.faces])]
    faces = bench.space.decode(latent)
    return Start(latent, bench.reader.probabilities(faces), _people(faces, bench, options))


def _people(faces: np.ndarray, bench: Bench, options: Options) -> np.ndarray:
    few = faces[: options.identity]
    return bench.embed(resized(few, max(few.shape[2], IDENTITY_SIZE)))


def _names(directions: Directions, options: Options) -> tuple[str, ...]:
    nameless = [name for name in directions.names if name.startswith("component_")]
    left_out = set(nameless[options.components :])
    return tuple(name for name in directions.names if name not in left_out)


def measure(
    candidate: Candidate, bench: Bench, start: Start, options: Options,
    bar: tuple[int, int, Progress],
) -> Measured:  # fmt: skip
    """One candidate's numbers; bar: (directions done before, directions in all, progress)."""
    found, columns = candidate.directions, list(bench.reader.names)
    names = _names(found, options)
    rows, kept = [], []
    for place, name in enumerate(names):
        bar[2](bar[0] + place, bar[1], f"{candidate.name}: {name}")
        signs, amount = _signs(name, start, columns, options)
        faces = bench.space.decode(edit(start.latent, found, {name: amount * signs}))
        rows.append(change(start.read, bench.reader.probabilities(faces), signs))
        people = _people(faces, bench, options)
        kept.append(float((people * start.people).sum(axis=1).mean()) if len(people) else np.nan)
    matrix = np.stack(rows)
    vectors = found.vectors[:, [found.index(name) for name in names]].astype(np.float64)
    effects = {name: effect_of(row, name, columns) for name, row in zip(names, matrix, strict=True)}
    separable = separability(found, bench.held.latent, bench.held.attributes)
    return Measured(
        candidate, names, matrix, vectors.T @ vectors, np.array(kept), separable, effects
    )


def _signs(
    name: str, start: Start, columns: list[str], options: Options
) -> tuple[np.ndarray, float]:
    """Which way each face moves, and how far; every second one back along a nameless component."""
    if name in columns:
        return towards(start.read[:, columns.index(name)]), options.amount
    count = len(start.latent)
    return np.where(np.arange(count) % 2, -1.0, 1.0), options.component_amount

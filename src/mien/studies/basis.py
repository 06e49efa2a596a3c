"""Sparse orthogonal bases over a grid of options: how well, how fast, how sparse, what leaks.

Each run of the grid fits `mien.directions.orthogonal_basis` to the same faces and leaves, in
a folder of its own, log.csv and TensorBoard events (train and validation loss of every
epoch), the basis and result.json. A study that is started again takes over the runs
that were finished with the same options on the same faces, and begins an interrupted run anew.

Leakage is read from decoded faces, each moved along a direction to the other side of its
attribute: F is orthogonal, so by its own scores nothing would ever leak.
"""

from __future__ import annotations

import itertools
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mien.checks import check_numbers
from mien.directions import orthogonal_basis, save_directions
from mien.directions.contract import Labelled
from mien.errors import BadInput
from mien.files import write_bytes, write_json
from mien.studies import directions as moving
from mien.studies._candidates import comparing
from mien.studies._heatmap import heat_map
from mien.studies._split import Progress
from mien.studies._table import markdown, output_folder, write_csv
from mien.train.run import event_writer
from mien.types import Directions

RESULT = "result.json"  # written last: a run without it was interrupted
STUDIED = {  # when nothing is varied
    "optimiser": ("gradient", "Adam"),
    "l1": ("0", "0.001"),
    "orthogonalise": ("every_step", "riemannian"),
}


@dataclass(frozen=True)
class Options:
    """What to measure."""

    faces: int = 16  # held-out faces moved along every direction
    reach: float = 2.5  # how far, in distances between the class means
    small: float = 1e-3  # numbers of a unit direction below it count as 0 for its sparsity
    seed: int = 0  # of the choice of faces

    def __post_init__(self) -> None:
        check_numbers(self)


@dataclass(frozen=True)
class Trial:
    """One run of the grid: what sets it apart, as texts, and all its options."""

    asked: Mapping[str, str]
    options: orthogonal_basis.Options = field(default_factory=orthogonal_basis.Options)

    @property
    def name(self) -> str:
        """A name for its folder."""
        return ",".join(f"{key}={value}" for key, value in self.asked.items()) or "defaults"


def grid(varied: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Every combination of the values of each field, the last field changing fastest."""
    return [dict(zip(varied, row, strict=True)) for row in itertools.product(*varied.values())]


def run(
    trials: Sequence[Trial], train: Labelled, bench: moving.Bench, options: Options,
    folder: Path, progress: Progress,
) -> list[dict[str, Any]]:  # fmt: skip
    """Fit every trial on `train`, judge it on the held-out faces of `bench`; the table's rows.

    Writes basis.md, basis.csv, a heat map of the best run's leakage and what each run leaves.
    Raises BadInput for an empty grid, trials alike, and as `orthogonal_basis.find` does.
    """
    if not trials or len({trial.name for trial in trials}) < len(trials):
        raise BadInput("the grid is empty or has a run twice; vary a field over different values")
    output_folder(folder)
    judge = _Judge(train, bench, options)
    results = [
        _result(trial, judge, folder / "runs" / trial.name, (place, len(trials), progress))
        for place, trial in enumerate(trials)
    ]
    rows = [result["row"] for result in results]
    write_csv(folder / "basis.csv", rows)
    write_bytes(folder / "basis.md", (markdown(rows) + "\n").encode())
    best = min(results, key=lambda result: float(result["row"]["validation"]))
    title = f"{trials[results.index(best)].name}: what moving along each direction changes"
    names = best["directions"], best["columns"]
    heat_map(folder / "leakage.png", np.array(best["leakage"]), names, title)
    return rows


class _Judge:
    """What all runs are fitted on and judged by; a space of other latents is refused at once."""

    def __init__(self, train: Labelled, bench: moving.Bench, options: Options) -> None:
        self.train, self.bench, self.options = train, bench, options
        self.moves = moving.Options(options.faces, 0, reach=options.reach, seed=options.seed)
        self.comparable = comparing(train, options.reach)
        self.start = moving.start_of(bench, self.moves)

    def faces(self) -> dict[str, Any]:
        """What a finished run must have been fitted and judged on to be taken over."""
        latent = self.train.latent
        judged = {"held": len(self.bench.held.latent), "study": asdict(self.options)}
        return {"model": latent.model, "space": latent.space, "faces": len(latent), **judged}

    def measured(self, found: Directions, name: str) -> moving.Measured:
        """Readings of the held-out faces moved along every direction."""
        candidate = moving.Candidate(name, self.comparable(found))
        quiet = (0, len(found.names), lambda done, total, text: None)
        return moving.measure(candidate, self.bench, self.start, self.moves, quiet)


def _result(
    trial: Trial, judge: _Judge, folder: Path, bar: tuple[int, int, Progress]
) -> dict[str, Any]:
    """The result of a finished run of the same options and faces, or of this one."""
    key = {"options": asdict(trial.options), **judge.faces()}
    stored = _stored(folder / RESULT)
    if stored and stored["key"] == json.loads(json.dumps(key)):
        return stored
    if folder.is_dir():
        shutil.rmtree(folder)  # interrupted, or of other options or faces
    folder.mkdir(parents=True)
    bar[2](bar[0], bar[1], f"fit {trial.name}")
    started = time.process_time()
    found = orthogonal_basis.find(judge.train, trial.options, report=_logs(folder))
    seconds = time.process_time() - started
    save_directions(folder / "basis", found)
    bar[2](bar[0], bar[1], f"judge {trial.name}")
    measured = judge.measured(found, trial.name)
    result = {
        "key": key, "row": _row(trial, found, measured, seconds, judge.options.small),
        "directions": list(measured.names), "columns": list(judge.bench.reader.names),
        "leakage": np.round(measured.matrix, 4).tolist(),
    }  # fmt: skip
    write_json(folder / RESULT, result)
    return result


def _stored(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise BadInput(f"{path} is damaged; delete its folder to run it again") from None
    return stored


def _logs(folder: Path) -> orthogonal_basis.Report:
    """Every epoch to log.csv and, where it is installed, to TensorBoard."""
    to_csv, events = orthogonal_basis.csv_log(folder / "log.csv"), event_writer(folder)

    def report(row: orthogonal_basis.Row) -> None:
        to_csv(row)
        for name in ("train", "validation") if events is not None else ():
            events.add_scalar(name, row[name], int(row["epoch"]))

    return report


def _row(
    trial: Trial, found: Directions, measured: moving.Measured, seconds: float, small: float
) -> dict[str, Any]:
    """One line of the table."""
    known: Mapping[str, Any] = found.provenance
    angles = found.vectors.T.astype(np.float64) @ found.vectors - np.eye(len(found.names))
    effects = [measured.effects[name] for name in measured.names]
    return {
        **trial.asked,
        "validation": float(known["best"]["validation"]),
        "epoch": int(known["best_epoch"]),
        "epochs": int(known["epochs"]),
        "CPU s": round(seconds, 2),
        "sparsity": float((np.abs(found.vectors) < small).mean()),
        "orthogonality error": f"{np.abs(angles).max():.1e}",
        "balanced": float(np.nanmean([side.balanced for side in measured.separable.values()])),
        "effect": float(np.mean([effect.effect for effect in effects])),
        "leakage": float(np.mean([effect.others for effect in effects])),
    }

"""A grid of StarGAN trainings, side by side: DLIM2020's study, with numbers.

DLIM2020 trained StarGAN with other batch sizes, rates, losses and normalisations and judged
them by eye. Here a grid is a list of recipes; every run is trained, resumes where it stopped,
and is measured on the same test photos as `studies.translation` measures translators, for
everybody and for subgroups. A run that fails costs no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mien.errors import BadInput
from mien.faces.celeba import read_celeba
from mien.files import write_bytes
from mien.studies._split import Progress
from mien.studies._stargan_grids import Entry, Grid
from mien.studies._stargan_runs import Bench, Outcomes, in_turn, side_by_side
from mien.studies._stargan_sheet import Strip, save_sheet
from mien.studies._table import markdown, output_folder, write_csv
from mien.studies.translation import EVERYBODY

RUNS = "runs"  # one folder a run inside the study's
TITLES = {
    "runs": "Runs, everybody, means over wishes",
    "wishes": "Wishes, everybody: seen by the judge, and by the recogniser",
    "groups": "Groups, means over wishes: seen by the judge, and cosine to the photo",
    "spoils": "Groups: mean absolute change after a wish and the way back, and Frechet distance, "
    "which is more for few faces: compare runs, not groups",
    "shares": "Wishes by shares of the photos: seen by the judge, and by the recogniser",
}
Row = dict[str, Any]


@dataclass(frozen=True)
class Report:
    """tables: rows under the keys of TITLES, empty where a grid has none. failed: why, by run."""

    tables: dict[str, list[Row]]
    failed: dict[str, str]


def run(root: Path, grid: Grid, folder: Path, workers: int, progress: Progress) -> Report:
    """Train and measure every run of the grid; `workers` of them at a time.

    Finished runs are taken over and interrupted ones go on. Writes stargan.md, stargan.csv
    (runs), wishes.csv (every wish of every group) and grid.png, which shows test photos: keep
    it where the photos may be kept. Raises BadInput when every run failed.
    """
    read_celeba(root, "test")
    runs = output_folder(folder / RUNS)
    bench = Bench(root, grid.options)
    if workers > 1:
        found = side_by_side(grid.entries, bench, runs, workers, progress)
    else:
        found = in_turn(grid.entries, bench, runs, progress)
    failed = {name: outcome.failure for name, outcome in found.items() if outcome.result is None}
    done = [entry for entry in grid.entries if entry.name not in failed]
    if not done:
        name, why = next(iter(failed.items()))
        raise BadInput(f"every run of the grid failed; {name}: {why}")
    report = Report(_tables(done, found), failed)
    _write(folder, report, [row for entry in done for row in _rows(found, entry)])
    save_sheet(folder / "grid.png", [_strip(runs, entry, found) for entry in done])
    return report


def films(folder: Path, entries: Iterable[Entry]) -> Iterator[tuple[Entry, Path, np.ndarray]]:
    """(run, its folder, frames uint8 [T, H, W, 3]): the pictures of each training in order."""
    for entry in entries:
        inside = folder / RUNS / entry.name
        pictures = sorted((inside / "samples").glob("*.png"))
        if pictures:
            yield entry, inside, np.stack([_pixels(path) for path in pictures])


def _tables(done: Sequence[Entry], found: Outcomes) -> dict[str, list[Row]]:
    rows = {entry.name: _rows(found, entry) for entry in done}
    wishes = list(dict.fromkeys(row["wish"] for some in rows.values() for row in some))
    groups = list(dict.fromkeys(row["group"] for some in rows.values() for row in some))
    shares = [group for group in groups if group.startswith("share ")]
    return {
        "runs": [_run_row(entry, rows[entry.name], found) for entry in done],
        "wishes": [
            {"run": name} | {wish: _seen(_of(some, EVERYBODY, wish)) for wish in wishes}
            for name, some in rows.items()
        ],
        "groups": [
            {"run": name}
            | {group: _pair(_of(some, group), ("judged", "identity")) for group in groups}
            for name, some in rows.items()
        ],
        "spoils": [
            {"run": entry.name}
            | {
                whole["group"]: f"{whole['reconstruction']:.3f} / {whole['frechet']:.0f}"
                for whole in _result(found, entry)["wholes"]
            }
            for entry in done
        ],
        "shares": [
            {"run": name, "photos": group} | {w: _seen(_of(some, group, w)) for w in wishes}
            for name, some in rows.items()
            for group in shares
        ],
    }


def _run_row(entry: Entry, rows: Sequence[Row], found: Outcomes) -> Row:
    """One line of the first table."""
    recipe, [whole] = entry.recipe, _of(_result(found, entry)["wholes"], EVERYBODY)
    sets = len(recipe.folders) + (1 if recipe.share else max(1, len(recipe.joint)))
    kept = {key: whole[key] for key in ("reconstruction", "psnr", "frechet")}
    everybody = _of(rows, EVERYBODY)
    means = {key: _mean(everybody, key) for key in ("success", "judged", "kept", "identity")}
    images = recipe.steps * recipe.batch * sets
    steps = {"steps": recipe.steps, "generator steps": recipe.steps * sets // recipe.n_critic}
    return {
        "run": entry.name,
        "differs": entry.changed,
        **steps,
        "images": images,
        **means,
        **kept,
    }


def _seen(rows: Sequence[Row]) -> str:
    return _pair(rows, ("judged", "success"))


def _pair(rows: Sequence[Row], keys: tuple[str, str]) -> str:
    """Two means, or a dash where nothing was measured."""
    return " / ".join(f"{_mean(rows, key):.2f}" for key in keys) if rows else "-"


def _of(rows: Sequence[Row], group: str, wish: str | None = None) -> list[Row]:
    return [row for row in rows if row["group"] == group and wish in (None, row.get("wish"))]


def _mean(rows: Sequence[Row], key: str) -> float:
    """Over the rows that have a value; not a number if none has."""
    known = [row[key] for row in rows if row[key] is not None]
    return float(np.mean(known)) if known else float("nan")


def _write(folder: Path, report: Report, rows: Sequence[Row]) -> None:
    write_csv(folder / "stargan.csv", report.tables["runs"])
    write_csv(folder / "wishes.csv", rows)
    parts = [f"## {TITLES[key]}\n\n{markdown(t)}" for key, t in report.tables.items() if t]
    lines = [f"- {name}: {why}" for name, why in report.failed.items()]
    parts += ["## Failed\n\n" + "\n".join(lines)] if lines else []
    write_bytes(folder / "stargan.md", ("\n\n".join(parts) + "\n").encode())


def _strip(runs: Path, entry: Entry, found: Outcomes) -> Strip:
    wishes = tuple(dict.fromkeys(row["wish"] for row in _rows(found, entry)))
    picture = runs / entry.name / f"{entry.name}.png"
    return Strip(entry.name, wishes, _pixels(picture), entry.recipe.size)


def _pixels(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error}; delete its folder to run it again") from error


def _result(found: Outcomes, entry: Entry) -> dict[str, Any]:
    return found[entry.name].result or {}


def _rows(found: Outcomes, entry: Entry) -> list[Row]:
    rows: list[Row] = _result(found, entry)["rows"]
    return rows

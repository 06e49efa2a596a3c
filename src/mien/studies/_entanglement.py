"""The directions study's report: tables, pairs, verdicts, heat maps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.files import write_bytes
from mien.measure.disentangle import Separability
from mien.studies._heatmap import heat_map
from mien.studies._table import markdown, write_csv
from mien.studies._verdict import Effect, pair_rows, ranking
from mien.types import Attributes, Directions

TITLES = {
    "attributes": "Directions of attributes",
    "components": "Components by what they move",
    "pairs": "Named pairs",
    "verdicts": "Ranked by merit",
}


@dataclass(frozen=True)
class Candidate:
    """Directions to be judged, under the name of their finder."""

    name: str
    directions: Directions


@dataclass(frozen=True)
class Measured:
    """One candidate's numbers: matrix [R, M], cosines [R, R], kept [R] mean identity cosines."""

    candidate: Candidate
    names: tuple[str, ...]
    matrix: np.ndarray
    cosines: np.ndarray
    kept: np.ndarray
    separable: dict[str, Separability]
    effects: dict[str, Effect]


def report_of(
    measured: Sequence[Measured], model: str, columns: Sequence[str], held: Attributes
) -> dict[str, Any]:
    """All tables as JSON values; held: labels of the held-out faces, columns: what was read."""
    columns = list(columns)
    named = {m.candidate.name: {n: e for n, e in m.effects.items() if n in columns}
             for m in measured}  # fmt: skip
    pairs = [
        row for m in measured
        for row in pair_rows(m.candidate.name, m.matrix, m.cosines, (m.names, columns),
                             held)
    ]  # fmt: skip
    return {
        "space": model,
        "held out": len(held.table),
        "columns": columns,
        "attributes": [row for m in measured for row in _attribute_rows(m, columns)],
        "components": [row for m in measured for row in _component_rows(m, columns)],
        "pairs": pairs,
        "verdicts": ranking({finder: known for finder, known in named.items() if known}),
        "rescoring": {m.candidate.name: _table(m.names, columns, m.matrix) for m in measured},
        "cosines": {m.candidate.name: _table(m.names, m.names, m.cosines) for m in measured},
    }


def _attribute_rows(measured: Measured, columns: list[str]) -> list[dict[str, Any]]:
    rows = []
    for place, name in enumerate(measured.names):
        if name not in columns:
            continue
        effect, known = measured.effects[name], measured.separable.get(name)
        rows.append({
            "finder": measured.candidate.name, "attribute": name,
            "accuracy": known.accuracy if known else float("nan"),
            "balanced": known.balanced if known else float("nan"),
            "effect": effect.effect, "purity": effect.pure, "others": effect.others,
            "drags": f"{effect.other} {effect.drag:+.2f}",
            "identity": float(measured.kept[place]), "merit": effect.merit,
            "verdict": effect.verdict,
        })  # fmt: skip
    return rows


def _component_rows(measured: Measured, columns: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "finder": measured.candidate.name, "component": name, "moves": effect.attribute,
            "effect": effect.effect, "purity": effect.pure,
            "next": f"{effect.other} {effect.drag:+.2f}", "identity": float(measured.kept[place]),
        }
        for place, (name, effect) in enumerate(measured.effects.items())
        if name not in columns
    ]  # fmt: skip


def _table(rows: Sequence[str], columns: Sequence[str], values: np.ndarray) -> dict[str, Any]:
    return {"rows": list(rows), "columns": list(columns), "values": np.round(values, 4).tolist()}


def write_report(report: dict[str, Any], measured: Sequence[Measured], folder: Path) -> None:
    """Write directions.md, directions.json, a CSV a table and two heat maps a candidate."""
    text = json.dumps(_without_nan(report), indent=1, ensure_ascii=False, allow_nan=False)
    write_bytes(folder / "directions.json", (text + "\n").encode())
    parts = [f"Space {report['space']}, {report['held out']} held-out faces."]
    for key, title in TITLES.items():
        if report[key]:
            write_csv(folder / f"{key}.csv", report[key])
            parts.append(f"## {title}\n\n{markdown(report[key])}")
    write_bytes(folder / "directions.md", ("\n\n".join(parts) + "\n").encode())
    for m in measured:
        name = m.candidate.name
        stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
        names = m.names, report["columns"]
        heat_map(folder / f"rescoring-{stem}.png", m.matrix, names, f"{name}: rescoring")
        heat_map(folder / f"cosines-{stem}.png", m.cosines, (m.names, m.names), f"{name}: cosines")


def _without_nan(value: Any) -> Any:
    """The same value with None for NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and np.isnan(value) else value

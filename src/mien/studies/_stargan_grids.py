"""Grids of StarGAN trainings: the built-in ones, and those of a TOML or JSON file.

A grid is {"base": fields of every recipe, "measure": fields of translation.Options,
"runs": {name: fields in which the run differs}}. Batches of other sizes come in two
kinds, because a comparison at equal steps shows more photos to the larger batch
(DLIM2020 compared only those) and one at equal images gives it fewer steps.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from mien.errors import BadInput, UnknownName
from mien.studies.translation import Options
from mien.train.stargan import Recipe

Table = Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """One run of a grid: its name, its recipe, and in which fields it differs from the base."""

    name: str
    recipe: Recipe
    changed: str


@dataclass(frozen=True)
class Grid:
    """Runs to compare, and how they are measured."""

    entries: tuple[Entry, ...]
    options: Options

    def only(self, names: Sequence[str]) -> Grid:
        """The grid of these runs alone; UnknownName for one that it does not have."""
        known = [entry.name for entry in self.entries]
        for name in names:
            if name not in known:
                raise UnknownName("run of the grid", name, known)
        return Grid(tuple(e for e in self.entries if e.name in names), self.options)


def open_grid(name: str) -> Grid:
    """A built-in grid, or that of a .toml or .json file.

    Raises UnknownName for another name and for fields that do not exist, BadInput for a
    file that cannot be read, a value of another type and a recipe that cannot be.
    """
    if name in GRIDS:
        return _grid(GRIDS[name], name)
    path = Path(name)
    if path.suffix not in (".toml", ".json"):
        raise UnknownName("grid", name, GRIDS)
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise BadInput(f"{path} is not valid {path.suffix[1:].upper()}: {error}") from error
    return _grid(table, str(path))


def _grid(table: Any, where: str) -> Grid:
    if not isinstance(table, dict) or not isinstance(table.get("runs"), dict) or not table["runs"]:
        raise BadInput(f"{where} has no runs; give each a table runs.NAME of its recipe's fields")
    for key in table:
        if key not in ("base", "measure", "runs"):
            raise UnknownName(f"table of {where}:", key, ("base", "measure", "runs"))
    options = _filled(Options, table.get("measure", {}), f"{where}, measure")
    base = table.get("base", {})
    entries = [_entry(base, name, changes, where) for name, changes in table["runs"].items()]
    return Grid(tuple(entries), options)


def _entry(base: Table, name: str, changes: Any, where: str) -> Entry:
    if not re.fullmatch(r"\w[\w.=+-]*", name):
        raise BadInput(f"{where}: run {name!r} names a folder; use letters, digits and . = + - _")
    if not isinstance(changes, dict):
        raise BadInput(f"{where}: run {name} is no table of its recipe's fields")
    changed = " ".join(f"{field}={_told(value)}" for field, value in changes.items())
    return Entry(name, _filled(Recipe, {**base, **changes}, f"{where}, run {name}"), changed)


def _filled(kind: type[Any], table: Any, where: str) -> Any:
    hints = get_type_hints(kind)
    if not isinstance(table, dict):
        raise BadInput(f"{where} is no table of fields")
    for field in table:
        if field not in hints:
            raise UnknownName(f"field in {where}:", field, hints)
    values = {field: _typed(value, hints[field], field, where) for field, value in table.items()}
    try:
        return kind(**values)
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from error


def _typed(value: Any, kind: Any, field: str, where: str) -> Any:
    inner = get_args(kind)
    if get_origin(kind) is tuple and isinstance(value, list | tuple):
        return tuple(_typed(one, inner[0], field, where) for one in value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise BadInput(f"{where}: {field}={_told(value)} is not of type {_told(kind)}")
    return value


def _told(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return value.__name__ if isinstance(value, type) else str(value)


_HALVES = ("Black_Hair+Blond_Hair", "Male+Young")
_BRIEF: dict[str, Any] = {  # what a core learns in minutes
    "attributes": ("Black_Hair", "Blond_Hair", "Male", "Young"), "size": 64, "width": 16,
    "depth": 2, "critic_width": 16, "critic_depth": 4, "condition": "lookup", "residual": True,
    "batch": 4, "n_critic": 1, "rate": 1e-3, "critic_rate": 1e-3, "rec": 5.0, "targets": "mixed",
    "average": 0.98, "tested": 24,
}  # fmt: skip
_TAUGHT: dict[str, Any] = {  # or hardly a wish is met in so few steps, and nothing can be compared
    "teacher": 1.0, "jitter": 0.05, "smooth": 5.0, "steps": 1200, "decay_steps": 400,
    "watch_every": 100, "every": 200,
}  # fmt: skip

GRIDS: dict[str, Table] = {
    "small": {
        "base": {**_BRIEF, **_TAUGHT},
        "measure": {"photos": 60, "each": 10},
        "runs": {
            "base": {},
            "base-again": {"seed": 1},
            "longer": {"steps": 2400, "decay_steps": 800},
            "batch-2-equal-steps": {"batch": 2},
            "batch-2-equal-images": {"batch": 2, "steps": 2400, "decay_steps": 800},
            "critic-rate-x5": {"critic_rate": 5e-3},
            "rate-x0.2": {"rate": 2e-4},
            "hinge-gp": {"loss": "hinge-gp"},
            "hinge": {"loss": "hinge"},
            "maps": {"condition": "maps"},
            "maps-loud": {"condition": "maps", "loud": 70.0},
            "untaught": {"teacher": 0.0},
        },
    },
    "joint": {  # long enough that what the halves share pays
        "base": {
            **_BRIEF, **_TAUGHT, "joint": _HALVES, "steps": 2400, "decay_steps": 800,
            "watch_every": 400,
        },
        "measure": {"photos": 600, "groups": ("Male",), "shares": 2},
        "runs": {"joint": {}, "first-alone": {"share": 1}, "second-alone": {"share": 2}},
    },
    "full": {  # DLIM2020's study, and what it did not try
        "base": {},
        "runs": {
            "base": {},
            "base-again": {"seed": 1},
            **{f"batch-{n}-equal-steps": {"batch": n} for n in (8, 32, 64)},
            **{
                f"batch-{n}-equal-images": {
                    "batch": n, "steps": 3_200_000 // n, "decay_steps": 1_600_000 // n,
                }
                for n in (8, 32, 64)
            },
            **{f"critic-rate-{rate}": {"critic_rate": rate} for rate in (5e-4, 1.1e-4, 1e-5)},
            **{f"rate-{rate}": {"rate": rate} for rate in (5e-3, 1e-5)},
            "hinge-gp": {"loss": "hinge-gp"},
            "hinge": {"loss": "hinge"},
            "lookup": {"condition": "lookup"},
            "lookup-first": {"condition": "lookup", "reading": "first"},
        },
    },
}  # fmt: skip

"""What one unit means: how far a latent moves until a recogniser sees the attribute.

Directions come from latents and labels alone; two spaces, or two attributes,
need different lengths for the same visible change. Calibration measures it on
decoded faces, so that an amount of 1 takes faces lacking an attribute, on
average, to the probability that faces having it show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from mien.directions._assemble import QUANTILES, presence_range
from mien.directions._linear import coordinates
from mien.directions._reach import Reached, first_reaching
from mien.directions.contract import Decodes, Labelled, Recognises
from mien.errors import BadInput, UnknownName
from mien.types import Attributes, Directions, Latent

SIDES = ("both", "mean", "max", "add", "remove")


@dataclass(frozen=True)
class CalibrationOptions:
    """What calibration measures, and how finely."""

    faces: int = 32  # decoded faces a side at every length tried
    fewest: int = 8  # faces needed on either side of an attribute
    quantiles: tuple[float, float] = QUANTILES  # of absent faces -> low, of present ones -> high
    side: str = "both"  # adding and removing have units of their own, or one for both
    levels: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # see `levels_of`
    clear: float = 0.9  # levels stay in [1 - clear, clear]; going on costs identity
    furthest: float = 8.0  # longest length tried, in gaps between the sides' mean coordinates
    tolerance: float = 0.02  # probability at which a level counts as reached
    batch: int = 64  # faces decoded at once
    seed: int = 0  # of the choice of faces

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            raise UnknownName("side", self.side, SIDES)
        for name in ("faces", "fewest", "furthest", "tolerance", "batch"):
            if not getattr(self, name) > 0:
                raise BadInput(f"{name} is {getattr(self, name)}, expected more than 0")


DEFAULTS = CalibrationOptions()


def calibrate(
    directions: Directions,
    space: Decodes,
    recogniser: Recognises,
    latent: Latent,
    attributes: Attributes | None = None,
    options: CalibrationOptions = DEFAULTS,
) -> Directions:
    """Directions with low, high and unit measured on `latent`, the latents of real faces.

    attributes: their labels; without them every latent is decoded once and the
    recogniser labels it at probability 0.5. low, high: the coordinates that
    presence 0 and 1 stand for, by default the 0.1 % quantile of absent and
    the 99.9 % quantile of present faces. unit: the latent length along f at which the
    recogniser's mean probability over decoded absent faces reaches the level of
    present ones, unit_down the other way round (`side`); levels are those of decoded
    faces, or options.levels measured on photos, kept within [1 - clear, clear].
    What was reached is in provenance["calibration"]. Raises BadInput naming an
    attribute with too few faces, UnknownName for one the recogniser does not know.
    """
    directions.check_latent(latent)
    see = _Eye(space, recogniser, options.batch)
    if attributes is None:
        table = np.where(see.all(latent) > 0.5, 1, -1).astype(np.int8)
        attributes = Attributes(tuple(recogniser.names), table)
    data = Labelled(latent, attributes.select(directions.names))
    scores = coordinates(latent.flat, directions.vectors)
    low, high = presence_range(scores, data.attributes.table, options.quantiles)
    notes = {
        name: _measure(see, data, directions, column, options)
        for column, name in enumerate(directions.names)
    }
    return replace(
        directions,
        low=low.astype(np.float32),
        high=high.astype(np.float32),
        unit=np.array([note["unit"] for note in notes.values()], np.float32),
        unit_down=np.array([note["unit_down"] for note in notes.values()], np.float32),
        provenance={**directions.provenance, "calibration": notes},
    )


def levels_of(
    probabilities: np.ndarray, names: tuple[str, ...], attributes: Attributes
) -> dict[str, tuple[float, float]]:
    """attribute -> (median probability of faces lacking it, of faces having it).

    probabilities: [N, len(names)] of a recogniser over photos; attributes: the
    labels of the same photos. The median is the typical face; the mean of a
    probability also counts the labels that nobody could see. Attributes without faces on both sides, or
    unknown to the recogniser, are left out.
    """
    levels = {}
    for name in (n for n in attributes.names if n in names):
        seen, labels = probabilities[:, names.index(name)], attributes.column(name)
        if (labels < 0).any() and (labels > 0).any():
            levels[name] = (float(np.median(seen[labels < 0])), float(np.median(seen[labels > 0])))
    return levels


@dataclass(frozen=True)
class _Eye:
    """Decodes latents and reads probabilities, a batch at a time."""

    space: Decodes
    recogniser: Recognises
    batch: int

    def all(self, latent: Latent) -> np.ndarray:
        """Probabilities [N, M]."""
        parts = [
            self.recogniser.probabilities(self.space.decode(latent[start : start + self.batch]))
            for start in range(0, len(latent), self.batch)
        ]
        return np.concatenate(parts)

    def mean(self, latent: Latent, name: str) -> float:
        """Mean probability of one attribute."""
        if name not in self.recogniser.names:
            raise UnknownName("attribute of the recogniser", name, self.recogniser.names)
        return float(self.all(latent)[:, self.recogniser.names.index(name)].mean())


def _measure(
    see: _Eye, data: Labelled, directions: Directions, column: int, options: CalibrationOptions
) -> dict[str, float | bool]:
    """The unit of one attribute and how it came about, plain JSON values."""
    name = directions.names[column]
    sides = _sides(data, name, options)
    vector = directions.vectors[:, column].astype(np.float64)
    gap = _gap(data, vector, column)
    start = [see.mean(side, name) for side in sides]
    low, high = options.levels.get(name, (start[0], start[1]))
    low, high = max(low, 1 - options.clear), min(high, options.clear)
    add = _reach(see, sides[0], (name, vector, 1.0), (start[0], high), gap, options)
    remove = _reach(see, sides[1], (name, vector, -1.0), (start[1], low), gap, options)
    up, down = _units(add.length, remove.length, options.side)
    return {
        "unit": up, "unit_down": down,
        "add": add.length, "add_from": start[0], "add_to": add.level, "add_reached": add.reached,
        "remove": remove.length, "remove_from": start[1], "remove_to": remove.level,
        "remove_reached": remove.reached,
    }  # fmt: skip


def _units(add: float, remove: float, side: str) -> tuple[float, float]:
    """(unit, unit_down) of the lengths that adding and removing took."""
    if side == "both":
        return add, remove
    one = {"add": add, "remove": remove, "max": max(add, remove), "mean": (add + remove) / 2}[side]
    return one, one


def _reach(
    see: _Eye,
    latent: Latent,
    along: tuple[str, np.ndarray, float],  # attribute, vector [D], 1 adds it or -1 removes it
    levels: tuple[float, float],  # from, to
    gap: float,
    options: CalibrationOptions,
) -> Reached:
    """The length along the vector that takes the mean probability to the other level."""
    name, vector, sign = along

    def progress(length: float) -> float:
        moved = latent.with_values(latent.flat + sign * length * vector)
        return (see.mean(moved, name) - levels[0]) * sign

    wanted = (levels[1] - levels[0]) * sign
    found = first_reaching(progress, wanted, gap, options.furthest * gap, options.tolerance)
    return replace(found, level=levels[0] + sign * found.level)


def _sides(data: Labelled, name: str, options: CalibrationOptions) -> tuple[Latent, Latent]:
    """(some faces lacking the attribute, some having it), at most options.faces each."""
    labels = data.attributes.column(name)
    generator = np.random.default_rng(options.seed)
    chosen = []
    for sign, word in ((-1, "without"), (1, "with")):
        rows = np.flatnonzero(labels == sign)
        if len(rows) < options.fewest:
            raise BadInput(
                f"calibration has {len(rows)} faces {word} {name}, fewer than {options.fewest}; "
                "give more faces or leave it out"
            )
        rows = generator.permutation(rows)[: options.faces]
        chosen.append(data.latent[np.sort(rows)])
    return chosen[0], chosen[1]


def _gap(data: Labelled, vector: np.ndarray, column: int) -> float:
    """Distance between the two sides' mean coordinates, or their deviation when there is none."""
    scores = coordinates(data.latent.flat, vector[:, None])[:, 0]
    labels = data.attributes.table[:, column]
    gap = float(scores[labels > 0].mean() - scores[labels < 0].mean())
    return gap if gap > 1e-6 else max(float(scores.std()), 1e-6)

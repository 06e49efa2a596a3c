"""From a rescoring matrix to sentences: what a direction does, what it drags, which finder wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mien.measure.disentangle import merit, purity
from mien.types import Attributes

PAIRS = (
    ("Bald", "Male"), ("Blond_Hair", "Heavy_Makeup"), ("Gray_Hair", "Young"),
    ("Eyeglasses", "Young"), ("Eyeglasses", "Male"), ("Wearing_Lipstick", "Male"),
    ("Heavy_Makeup", "Attractive"), ("Smiling", "Mouth_Slightly_Open"), ("Pale_Skin", "Blond_Hair"),
    ("Young", "Attractive"), ("Double_Chin", "Young"), ("No_Beard", "Male"),
)  # fmt: skip
WEAK, CLEAN, DRAGS = 0.2, 0.4, 0.5  # effect; purity; side effect as a share of the effect


@dataclass(frozen=True)
class Effect:
    """What moving along one direction changes.

    effect: change of its own attribute, of the one that changes most for a
    nameless component. attribute: which that is. pure: see `purity`. other, drag:
    the other attribute that changes most, and by how much.
    """

    attribute: str
    effect: float
    pure: float
    others: float
    other: str
    drag: float

    @property
    def merit(self) -> float:
        """Harmonic mean of effect and purity."""
        return merit(self.effect, self.pure)

    @property
    def verdict(self) -> str:
        """One word, or what is dragged along."""
        if self.effect < WEAK:
            return "weak"
        if abs(self.drag) < DRAGS * self.effect and self.pure >= CLEAN:
            return "clean"
        return f"drags {self.other} {self.drag:+.2f}"


def effect_of(row: np.ndarray, name: str, columns: Sequence[str]) -> Effect:
    """The effect of a direction from its row [M] of the rescoring matrix."""
    named = name in columns
    own = columns.index(name) if named else int(np.abs(row).argmax())
    rest = np.delete(np.arange(len(columns)), own)
    most = int(rest[np.abs(row[rest]).argmax()])
    size = float(row[own]) if named else abs(float(row[own]))
    return Effect(
        attribute=columns[own], effect=size, pure=purity(row, own),
        others=float(np.abs(row[rest]).mean()), other=columns[most], drag=float(row[most]),
    )  # fmt: skip


def ranking(effects: dict[str, dict[str, Effect]]) -> list[dict[str, object]]:
    """A row an attribute: its finders by merit, best first.

    effects: finder -> attribute -> effect.
    """
    names = dict.fromkeys(name for known in effects.values() for name in known)
    rows = []
    for name in names:
        have = {finder: known[name] for finder, known in effects.items() if name in known}
        order = sorted(have, key=lambda finder: -have[finder].merit)
        words = [f"{place}. {f} {have[f].merit:.2f}" for place, f in enumerate(order, start=1)]
        best = have[order[0]]
        rows.append(
            {"attribute": name, "best": order[0], "merit": best.merit, "verdict": best.verdict,
             "ranking": "; ".join(words)}
        )  # fmt: skip
    return rows


def pair_rows(
    finder: str, matrix: np.ndarray, cosines: np.ndarray,
    names: tuple[Sequence[str], Sequence[str]], labels: Attributes,
) -> list[dict[str, object]]:  # fmt: skip
    """A row a pair of PAIRS that a finder has directions for.

    matrix: [R, M] rescoring; cosines: [R, R]; names: of rows and columns; labels: faces
    whose correlation says how much of the entanglement is in the data.
    """
    rows, columns = list(names[0]), list(names[1])
    found = []
    for a, b in PAIRS:
        if not (a in rows and b in rows and a in columns and b in columns):
            continue
        found.append({
            "finder": finder, "a": a, "b": b, "data": correlation(labels, a, b),
            "cosine": float(cosines[rows.index(a), rows.index(b)]),
            "a moves a": float(matrix[rows.index(a), columns.index(a)]),
            "a moves b": float(matrix[rows.index(a), columns.index(b)]),
            "b moves b": float(matrix[rows.index(b), columns.index(b)]),
            "b moves a": float(matrix[rows.index(b), columns.index(a)]),
        })  # fmt: skip
    return found


def correlation(labels: Attributes, a: str, b: str) -> float:
    """Correlation of two attributes over faces where both are known; NaN when one is fixed."""
    if a not in labels.names or b not in labels.names:
        return float("nan")
    one, two = labels.column(a).astype(float), labels.column(b).astype(float)
    known = (one != 0) & (two != 0)
    one, two = one[known], two[known]
    if len(one) < 2 or not one.std() or not two.std():
        return float("nan")
    return float(np.corrcoef(one, two)[0, 1])

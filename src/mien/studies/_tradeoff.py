"""Distortion against editability, a point an inverter."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.files import write_bytes

PANELS = (  # the last number: least width of the axis, lest noise look like a difference
    ("judged", "edits that the judge sees", 0.4),
    ("kept", "identity kept by edits (cosine)", 0.2),
    ("consistency", "distance after edit and undo (lower is better)", 4.0),
)
LEAST = 1.0  # of the perceptual distance


def tradeoff(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a PNG: one panel a measure of editability, over the perceptual distance."""
    import matplotlib.figure

    figure = matplotlib.figure.Figure(figsize=(4.2 * len(PANELS), 3.8), layout="constrained")
    for axis, (key, title, least) in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
        for row in rows:
            axis.plot(row["perceptual"], row[key], "o", color="tab:blue")
            place = (row["perceptual"], row[key])
            axis.annotate(row["inverter"], place, (4, 4), textcoords="offset points", fontsize=7)
        axis.margins(0.2)
        axis.set_xlim(_at_least(LEAST, axis.get_xlim()))
        axis.set_ylim(_at_least(least, axis.get_ylim()))
        axis.set_xlabel("perceptual distance to the photo", fontsize=8)
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=7)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    write_bytes(path, stream.getvalue())


def _at_least(width: float, limits: tuple[float, float]) -> tuple[float, float]:
    """Limits of an axis about the same middle, no nearer to each other than `width`."""
    middle, half = sum(limits) / 2, max(limits[1] - limits[0], width) / 2
    return middle - half, middle + half

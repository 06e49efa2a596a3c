"""Distortion against editability, a point an inverter."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.files import write_bytes

PANELS = (
    ("judged", "edits that the judge sees"),
    ("kept", "identity kept by edits (cosine)"),
    ("consistency", "distance after edit and undo (lower is better)"),
)


def tradeoff(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a PNG: one panel a measure of editability, over the perceptual distance."""
    import matplotlib.figure

    figure = matplotlib.figure.Figure(figsize=(4.2 * len(PANELS), 3.8), layout="constrained")
    for axis, (key, title) in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
        for row in rows:
            axis.plot(row["perceptual"], row[key], "o", color="tab:blue")
            place = (row["perceptual"], row[key])
            axis.annotate(row["inverter"], place, (4, 4), textcoords="offset points", fontsize=7)
        axis.margins(0.2)
        axis.set_xlabel("perceptual distance to the photo", fontsize=8)
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=7)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    write_bytes(path, stream.getvalue())

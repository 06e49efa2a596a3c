"""Heat maps of square and oblong tables of signed numbers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mien.files import write_bytes


def heat_map(
    path: Path, values: np.ndarray, names: tuple[Sequence[str], Sequence[str]], title: str
) -> None:
    """Write values [R, C] in [-1, 1] as PNG: blue below 0, white at 0, red above.

    names: of rows and of columns. The cell where a row meets its own name is framed.
    """
    import matplotlib.figure
    from matplotlib.patches import Rectangle

    rows, columns = names
    size = (3.2 + 0.22 * len(columns), 2.2 + 0.22 * len(rows))
    figure = matplotlib.figure.Figure(figsize=size, layout="constrained")
    axis = figure.subplots()
    shown = axis.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="equal")
    axis.set_xticks(range(len(columns)), columns, rotation=90, fontsize=7)
    axis.set_yticks(range(len(rows)), rows, fontsize=7)
    axis.set_title(title, fontsize=10)
    for row, name in enumerate(rows):
        if name in columns:
            corner = (list(columns).index(name) - 0.5, row - 0.5)
            axis.add_patch(Rectangle(corner, 1, 1, fill=False, linewidth=0.7))
    figure.colorbar(shown, ax=axis, shrink=0.6)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    write_bytes(path, stream.getvalue())

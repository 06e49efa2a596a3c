"""Draw the curves of training logs.

    python benchmarks/curves.py OUT.png RUN/log.jsonl [RUN/log.jsonl ...]

One panel a value, one line a log, smoothed by a running mean of 2 % of its length.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

SKIPPED = ("step", "rate", "share", "beyond")


def read(path: Path) -> dict[str, np.ndarray]:
    """The columns of a log, each [N, 2]: the steps it was logged at, and the values."""
    columns: dict[str, list[tuple[float, float]]] = {}
    for line in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        for name, value in line.items():
            columns.setdefault(name, []).append((line["step"], value))
    return {name: np.array(rows) for name, rows in columns.items() if name not in SKIPPED}


def main(out: Path, paths: list[Path]) -> None:
    """Write the figure."""
    logs = {path.stem: read(path) for path in paths}
    names = list(dict.fromkeys(name for log in logs.values() for name in log))
    figure = Figure(figsize=(4 * len(names), 3), layout="constrained")
    for axis, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for title, log in logs.items():
            if name in log:
                steps, values = log[name].T
                width = max(1, len(values) // 50)
                smooth = np.convolve(values, np.ones(width) / width, mode="valid")
                axis.plot(steps[-len(smooth) :], smooth, label=title)
        axis.set(title=name, xlabel="step", yscale="log")
    axis.legend(fontsize="small")
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(path) for path in sys.argv[2:]])

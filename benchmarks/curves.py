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

SKIPPED = ("step", "rate")


def read(path: Path) -> dict[str, np.ndarray]:
    """The columns of a log."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {name: np.array([line[name] for line in lines]) for name in lines[0]}


def main(out: Path, paths: list[Path]) -> None:
    """Write the figure."""
    logs = {path.stem: read(path) for path in paths}
    names = list(dict.fromkeys(n for log in logs.values() for n in log if n not in SKIPPED))
    figure = Figure(figsize=(4 * len(names), 3), layout="constrained")
    for axis, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for title, log in logs.items():
            if name in log:
                width = max(1, len(log[name]) // 50)
                smooth = np.convolve(log[name], np.ones(width) / width, mode="valid")
                axis.plot(log["step"][-len(smooth) :], smooth, label=title)
        axis.set(title=name, xlabel="step", yscale="log")
    axis.legend(fontsize="small")
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(path) for path in sys.argv[2:]])

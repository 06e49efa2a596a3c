"""Cold starts: whole `mien` processes against `python -c "import torch"`, in turn.

    python benchmarks/cold.py

Prints the median seconds of each and its ratio to importing torch.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROUNDS = 5


def commands(folder: Path) -> dict[str, list[str]]:
    """What is timed, by name."""
    import skimage

    photo = str(Path(skimage.__file__).parent / "data" / "astronaut.png")
    mien = str(Path(sys.executable).parent / "mien")
    out = str(folder / "out.png")
    return {
        "import torch": [sys.executable, "-c", "import torch"],
        "mien --help": [mien, "--help"],
        "mien edit": [mien, "edit", photo, "--set", "Smiling=0", "-o", out],
        "mien find": [mien, "find", photo, "--adjust", "Smiling=1", "--json"],
    }


def main() -> None:
    """Run every command in turn, ROUNDS times after one warm-up, and print medians."""
    with tempfile.TemporaryDirectory() as folder:
        timed = commands(Path(folder))
        rounds = [[run(command) for command in timed.values()] for _ in range(ROUNDS + 1)]
    medians = np.median(rounds[1:], axis=0)
    for name, value in zip(timed, medians, strict=True):
        print(f"{name:14} {value:6.2f} s   {value / medians[0]:.2f}")


def run(command: list[str]) -> float:
    """Wall seconds of one process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

"""Builds that are ended from outside: run by test_bulk.py in processes of their own.

python -m tests.search.bulk_writer bulk PHOTOS FOLDER     two processes, stuck in the last shards
python -m tests.search.bulk_writer decode PHOTOS FOLDER   one process, stuck with decoders waiting
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.search.build import BuildOptions, build_gallery
from mien.search.bulk import build_in_bulk, in_processes
from mien.types import Latent
from tests.search.toys import ToySpace


def die() -> None:
    """As the system ends a process for want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def stay() -> None:
    """Never return."""
    threading.Event().wait()


class Marked(ToySpace):
    """Does `what` when it meets a white face."""

    def __init__(self, what: str) -> None:
        self.what = what

    def encode(self, faces: np.ndarray) -> Latent:
        """As a toy space."""
        if (faces == 1).all(axis=(1, 2, 3)).any():
            {"die": die, "stay": stay}[self.what]()
        return super().encode(faces)


@dataclass(frozen=True)
class Opener:
    """Opens a toy space, "plain" or one that does something when it meets a white face."""

    what: str = "plain"

    def __call__(self) -> tuple[ToySpace, None]:
        """The space, and no recogniser."""
        return (ToySpace() if self.what == "plain" else Marked(self.what)), None


def options(root: Path, **changes: object) -> BuildOptions:
    """Small shards of aligned photos."""
    plain = {"root": root, "aligned": True, "workers": 0, "batch": 6, "commit": 15}
    return BuildOptions(**plain | changes)  # type: ignore[arg-type]


def told(done: int, _: int) -> None:
    """A line a step."""
    print(done, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it
    photos, folder = map(Path, sys.argv[2:])
    paths = sorted(photos.glob("*.png"))
    if sys.argv[1] == "bulk":
        build_in_bulk(folder, paths, Opener("stay"), in_processes(2), options(photos), told)
    else:
        build_gallery(folder, paths, Marked("stay"), options(photos, workers=2), told)

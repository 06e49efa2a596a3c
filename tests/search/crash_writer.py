"""Writers that die: run by test_crash.py in processes of their own.

python -m tests.search.crash_writer points FOLDER   die at every file operation in turn
python -m tests.search.crash_writer forgets FOLDER  likewise, while forgetting faces with codes
python -m tests.search.crash_writer endless FOLDER  add and print what was acknowledged
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mien.search.codes import CodeOptions
from mien.search.forget import forget
from mien.search.gallery import Entries, Gallery
from tests.search.toys import basis, entries, gallery

FILE_EVENTS = ("open", "os.rename", "os.remove", "fcntl.flock", "os.chmod", "tempfile.mkstemp")


def faces(names: str, number: float) -> Entries:
    """Faces named by single letters, all at `number`."""
    return entries(list(names), np.full((len(names), 3), number, np.float32))


WRITES: list[Callable[[Gallery], object]] = [
    lambda stored: stored.add(faces("def", 2)),
    lambda stored: stored.remove(["a", "e"]),
    lambda stored: stored.add(faces("bz", 3), replace=True),
    lambda stored: stored.remove(["c", "d", "f", "b", "z"]),
]
# id -> number after so many of the writes
STATES: list[dict[str, float]] = [
    {"a": 1, "b": 1, "c": 1},
    {"a": 1, "b": 1, "c": 1, "d": 2, "e": 2, "f": 2},
    {"b": 1, "c": 1, "d": 2, "f": 2},
    {"c": 1, "d": 2, "f": 2, "b": 3, "z": 3},
    {},
]


CODED = [f"coded-{number}" for number in range(12)]
FORGOTTEN = CODED[3:5]
FORGETS: list[Callable[[Gallery], object]] = [lambda stored: forget(stored, FORGOTTEN)]


def coded_gallery(folder: Path) -> Gallery:
    """Faces with codes along `basis(0, 6, 2)`."""
    values = np.random.default_rng(0).normal(size=(len(CODED), 6)).astype(np.float32)
    made = gallery(folder, values, CODED)
    made.compress(basis(0, 6, 2), CodeOptions(size=60, lead=2, block=2))
    return made


def die_at(point: int) -> None:
    """Kill this process before its `point`-th file operation from now on."""
    count = itertools.count(1)

    def hook(event: str, _: object) -> None:
        if event in FILE_EVENTS and next(count) == point:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def write_until_killed(
    folder: Path, writes: list[Callable[[Gallery], object]], point: int, acknowledged: int
) -> None:
    """The writes, each acknowledged by one byte, in a process that dies on the way."""
    stored = Gallery.open(folder)
    die_at(point)
    for write in writes:
        write(stored)
        os.write(acknowledged, b".")
    os._exit(0)


def points(folder: Path) -> None:
    """Deaths during `WRITES`."""
    gallery(folder / "start", np.ones((3, 3), np.float32), list("abc"))
    deaths(folder, WRITES)


def forgets(folder: Path) -> None:
    """Deaths during `FORGETS`."""
    coded_gallery(folder / "start")
    deaths(folder, FORGETS)


def deaths(folder: Path, writes: list[Callable[[Gallery], object]]) -> None:
    """One folder and one line "POINT ACKNOWLEDGED" for every point of death."""
    for point in itertools.count(1):
        shutil.copytree(folder / "start", folder / str(point))
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            write_until_killed(folder / str(point), writes, point, write)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            acknowledged = len(pipe.read())
        _, status = os.waitpid(child, 0)
        print(point, acknowledged, flush=True)
        if not os.WIFSIGNALED(status):
            return


def endless(folder: Path) -> None:
    """Add one face after another, printing each id once it is acknowledged."""
    stored = gallery(folder, np.ones((1, 3), np.float32), ["first"])
    for number in itertools.count():
        stored.add(entries([f"{number:06d}"], np.full((1, 3), number, np.float32)))
        print(f"{number:06d}", flush=True)


if __name__ == "__main__":
    {"points": points, "forgets": forgets, "endless": endless}[sys.argv[1]](Path(sys.argv[2]))

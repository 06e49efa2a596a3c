"""Writers killed at random moments: run by test_kills.py in a process of its own.

python -m tests.search.kill_writer FOLDER COUNT

Each of COUNT children does one of `WRITES` to a copy of the same gallery and is
killed after a delay drawn evenly from the time that the write takes. Prints a
line "NUMBER NAME ACKNOWLEDGED KILLED" for each; ACKNOWLEDGED counts what the child
was told is stored, so that it cannot be lost.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image

from mien.files import write_bytes
from mien.search import indexing
from mien.search._index_card import IndexCard, write_card
from mien.search._parts import encode_part
from mien.search.build import build_gallery
from mien.search.bulk import build_in_bulk
from mien.search.codes import CodeOptions
from mien.search.forget import forget
from mien.search.gallery import Entries, Gallery
from tests.search.bulk_writer import Opener, options
from tests.search.toys import ToySpace, basis, entries, gallery

OLD = [f"old-{number}" for number in range(30)]
NEW = [f"new-{number}" for number in range(30)]
GONE = OLD[5:9]
PHOTOS = 24
BASIS = basis(0, 48, 2)
Told = Callable[[], None]


def faces(names: list[str]) -> Entries:
    """Faces whose latents follow from their names."""
    rows = [np.random.default_rng(sum(name.encode())).normal(size=48) for name in names]
    return entries(names, np.array(rows, np.float32))


def prepare(folder: Path) -> None:
    """A gallery with codes and a card of an index, and photos."""
    made = gallery(folder / "start", np.zeros((0, 48), np.float32))
    made.add(faces(OLD))
    made.compress(BASIS, CodeOptions(size=120, lead=2, block=8))
    write_card(made.folder, IndexCard("people.db", "FLAT", "mien_0", "mien_0_a"))
    (folder / "photos").mkdir()
    for number in range(PHOTOS):
        colour = tuple(np.random.default_rng(number).integers(0, 255, 3).tolist())
        Image.new("RGB", (24, 24), colour).save(folder / "photos" / f"{number:02d}.png")


def add(folder: Path, told: Told) -> None:
    """Ten faces at a time."""
    opened = Gallery.open(folder)
    for start in (0, 10, 20):
        opened.add(faces(NEW[start : start + 10]))
        told()


def remove(folder: Path, told: Told) -> None:
    """Two faces, then two more."""
    opened = Gallery.open(folder)
    for start in (0, 2):
        opened.remove(GONE[start : start + 2])
        told()


def build(folder: Path, told: Told) -> None:
    """24 photos, by shards of 8."""
    photos = folder.parent / "photos"
    how = options(photos, batch=4, commit=8)
    build_gallery(folder, sorted(photos.iterdir()), ToySpace(), how, lambda *_: told())


def bulk(folder: Path, told: Told) -> None:
    """The same photos, finished shards from the last to the first."""

    def in_turn(parts, place):  # type: ignore[no-untyped-def]
        for part in reversed(parts):
            write_bytes(place / part.name, encode_part(part, cores=1))
            yield part

    photos = folder.parent / "photos"
    how = options(photos, batch=4, commit=8)
    build_in_bulk(folder, sorted(photos.iterdir()), Opener(), in_turn, how, lambda *_: told())


def forget_some(folder: Path, told: Told) -> None:
    """Four faces, their codes, and the index."""
    client = mock.Mock(**{"list_collections.return_value": [], "get.return_value": []})
    connect = mock.patch.object(indexing, "connect", return_value=client)
    with connect, mock.patch.object(indexing, "said", nullcontext):
        forget(Gallery.open(folder), GONE)
    told()


def compress(folder: Path, told: Told) -> None:
    """New codes in place of others."""
    Gallery.open(folder).compress(BASIS, CodeOptions(size=100, lead=2, block=4))
    told()


WRITES: dict[str, Callable[[Path, Told], None]] = {
    "add": add, "remove": remove, "build": build, "bulk": bulk, "forget": forget_some,
    "compress": compress,
}  # fmt: skip


def child(folder: Path, name: str, write: int) -> None:
    """The write, in a process that ends with it."""
    WRITES[name](folder, lambda: os.write(write, b".") and None)
    os._exit(0)


def killed_after(folder: Path, name: str, delay: float | None) -> tuple[int, bool, float]:
    """(acknowledged, whether it was killed, seconds it ran) of a child killed after `delay`."""
    read, write = os.pipe()
    start = time.perf_counter()
    process = os.fork()
    if process == 0:
        os.close(read)
        child(folder, name, write)
    os.close(write)
    count, ended = 0, False
    while not ended:
        left = None if delay is None else max(0.0, start + delay - time.perf_counter())
        if not select.select([read], [], [], left)[0]:
            os.kill(process, signal.SIGKILL)
            delay = None
            continue
        got = len(os.read(read, 100))
        count, ended = count + got, got == 0
    os.close(read)
    _, status = os.waitpid(process, 0)
    if not os.WIFSIGNALED(status) and os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{name} failed in {folder}")
    return count, os.WIFSIGNALED(status), time.perf_counter() - start


def main(folder: Path, count: int) -> None:
    """Measure each write three times, then kill it again and again."""
    torch.set_num_threads(1)  # loaded once, and no threads of it before the forks
    prepare(folder)
    random = np.random.default_rng(count)
    times = {}
    for name in WRITES:
        runs = []
        for run in range(3):
            shutil.copytree(folder / "start", folder / f"{name}-{run}")
            runs.append(killed_after(folder / f"{name}-{run}", name, None)[2])
        times[name] = statistics.median(runs)
    for number in range(count):
        name = list(WRITES)[number % len(WRITES)]
        place = folder / str(number)
        shutil.copytree(folder / "start", place)
        counted, died, _ = killed_after(place, name, random.uniform(0, times[name]))
        print(number, name, counted, int(died), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

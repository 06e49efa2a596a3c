"""Parts encoded in processes of this machine, each of which is given one after another."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path

from mien.errors import BadInput, MienError
from mien.files import write_bytes
from mien.search._parts import Part, encode_part
from mien.search._processes import START, serve

DEAD = (EOFError, ConnectionError)  # what a connection to a dead process says


def encode_in_processes(
    parts: Sequence[Part], folder: Path, workers: int
) -> Generator[Part, None, None]:
    """Each part once its file is in `folder`; when this stops early, workers end where they are.

    Raises BadInput when a worker dies, or cannot open the models.
    """
    left, busy = deque(parts), dict[Connection, Part]()
    try:
        with _started(min(workers, len(parts)), folder) as idle:
            while idle or busy:
                while idle and left:
                    worker, part = idle.pop(), left.popleft()
                    worker.send(part)
                    busy[worker] = part
                if not busy:
                    return
                ready = [worker for worker in wait(list(busy)) if isinstance(worker, Connection)]
                done = [(worker.recv(), busy.pop(worker)) for worker in ready]
                idle += ready
                for failure, part in done:
                    if failure:
                        raise BadInput(failure)
                    yield part
    except DEAD as error:
        raise BadInput(
            "a process that encodes photos died, perhaps for want of memory; run the same again, "
            "with fewer workers: finished shards are kept (a script needs the __main__ guard)"
        ) from error


@contextmanager
def _started(count: int, folder: Path) -> Iterator[list[Connection]]:
    """Connections to workers; they are killed at the end."""
    context = multiprocessing.get_context(START)
    cores = max(1, (os.cpu_count() or 1) // count)
    connections, workers = [], []
    try:
        for _ in range(count):
            ours, theirs = context.Pipe()
            connections.append(ours)
            worker = context.Process(target=_work, args=(theirs, folder, cores))
            worker.start()
            workers.append(worker)
            theirs.close()
        yield list(connections)
    finally:
        for worker in workers:
            worker.kill()
            worker.join()
        for connection in connections:
            connection.close()


def _work(starter: Connection, folder: Path, cores: int) -> None:
    serve()
    with suppress(*DEAD):  # the starter has ended
        while True:
            starter.send(_write(starter.recv(), folder, cores))


def _write(part: Part, folder: Path, cores: int) -> str:
    """Encode and write a part; why it cannot be, or ""."""
    try:
        write_bytes(folder / part.name, encode_part(part, cores))
    except MienError as error:  # not every one of them survives being sent
        return str(error)
    return ""

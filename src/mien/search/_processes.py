"""Worker processes that end with the process that started them, whatever ends it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection


@contextmanager
def processes(count: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of `count` processes, each started fresh.

    When the block raises, or this process is killed, they end in the middle of
    what they do.
    """
    # fork would copy a process whose torch threads hold locks
    context = multiprocessing.get_context("forkserver")
    ours, held = context.Pipe(duplex=False)  # closed with this process, by the system if need be
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_serve, initargs=(ours,))
    try:
        yield pool
    except BaseException:
        held.close()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        held.close()
        ours.close()


def _serve(starter: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the starter decides what an interrupt ends
    threading.Thread(target=_end_with, args=(starter,), daemon=True).start()


def _end_with(starter: Connection) -> None:
    starter.poll(None)  # nothing is ever sent; it returns when the other end is closed
    os._exit(1)

"""Threads that encode side by side.

One network spread over all cores waits at each of its layers for the slowest
core; while other processes decode photos it mostly waits. A thread a core,
each with a batch of its own, does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

from mien.runtime import engine, precision


@contextmanager
def thread_a_core(count: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of `count` threads, each running networks on one core as the caller's blocks say."""
    before = torch.get_num_threads()
    by, at = engine.current(), precision.current()

    def start() -> None:  # all are states of a thread
        torch.set_num_threads(1)
        precision.use(at)
        engine.use(by)

    pool = ThreadPoolExecutor(count, initializer=start)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(before)

"""Worker processes that end with the process that started them, whatever ends it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from typing import Final

START: Final = "forkserver"  # fork would copy a process whose torch threads hold locks


def serve() -> None:
    """Call this first in a worker: an interrupt is the starter's to handle, its death ours."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_starter, daemon=True).start()


def _end_with_starter() -> None:
    starter = multiprocessing.parent_process()
    if starter is not None:
        starter.join()
        os._exit(1)

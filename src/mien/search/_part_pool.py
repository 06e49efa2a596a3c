"""Parts encoded in processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from mien.errors import BadInput, MienError
from mien.files import write_bytes
from mien.search._parts import Part, encode_part
from mien.search._processes import processes


def encode_in_processes(
    parts: Sequence[Part], folder: Path, workers: int
) -> Generator[Part, None, None]:
    """Each part once its file is in `folder`; when this stops early, so do the workers.

    Raises BadInput when a worker dies, or cannot open the models.
    """
    cores = max(1, (os.cpu_count() or 1) // workers)
    try:
        with processes(workers) as pool:
            futures = {pool.submit(_write, part, folder, cores): part for part in parts}
            for future in as_completed(futures):
                if future.result():
                    raise BadInput(future.result())
                yield futures[future]
    except BrokenProcessPool as error:
        raise BadInput(
            "a process that encodes photos died, perhaps for want of memory; run the same again, "
            "with fewer workers: finished shards are kept (a script needs the __main__ guard)"
        ) from error


def _write(part: Part, folder: Path, cores: int) -> str:
    """Encode and write a part; why it cannot be, or ""."""
    try:
        write_bytes(folder / part.name, encode_part(part, cores))
    except MienError as error:  # not every one of them survives being sent
        return str(error)
    return ""

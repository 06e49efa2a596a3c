"""Photo files to aligned faces in worker processes, a bounded number ahead."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.errors import BadInput, MissingExtra
from mien.faces.portrait import FaceOptions, open_portrait
from mien.search._processes import START, serve
from mien.search.thumbnail import to_thumbnail

FEW = 8  # photos that are decoded sooner than workers have started
AHEAD = 3  # chunks a worker may be ahead of the encoder: bounds memory


@dataclass(frozen=True)
class Decoded:
    """One photo: face float32 [3, S, S] and its thumbnail, or None and why not."""

    path: Path
    face: np.ndarray | None
    thumbnail: bytes = b""
    failure: str = ""


def decode_one(path: Path, size: int, options: FaceOptions) -> Decoded:
    """Read and align one photo; every failure but a missing package becomes a sentence."""
    try:
        face = open_portrait(path, size, options).face.pixels
        return Decoded(path, face, to_thumbnail(face))
    except MissingExtra:
        raise
    except BadInput as error:
        return Decoded(path, None, failure=str(error))
    except Exception as error:  # a photo never stops the others
        return Decoded(path, None, failure=f"cannot use {path}: {type(error).__name__} ({error})")


def decode_chunk(paths: Sequence[Path], size: int, options: FaceOptions) -> list[Decoded]:
    """`decode_one` for each path."""
    return [decode_one(path, size, options) for path in paths]


def decode_all(
    chunks: Sequence[Sequence[Path]], size: int, options: FaceOptions, workers: int
) -> Iterator[list[Decoded]]:
    """All photos in order, in chunks; in this process when they are few or `workers` is 0.

    Raises BadInput when a worker dies (out of memory, or a script that starts
    workers without the `__main__` guard).
    """
    if workers < 1 or sum(map(len, chunks)) <= FEW:
        return (decode_chunk(part, size, options) for part in chunks)
    return _in_workers(chunks, size, options, workers)


def _in_workers(
    chunks: Sequence[Sequence[Path]], size: int, options: FaceOptions, workers: int
) -> Iterator[list[Decoded]]:
    context = multiprocessing.get_context(START)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=serve)
    ahead: deque[Future[list[Decoded]]] = deque()
    try:
        for part in chunks:
            ahead.append(pool.submit(decode_chunk, part, size, options))
            if len(ahead) > AHEAD * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    except BrokenProcessPool as error:
        raise BadInput(
            "a process that decodes photos died, perhaps for want of memory; run the same again: "
            "it goes on after what is stored (a script needs the __main__ guard)"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

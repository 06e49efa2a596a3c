"""Parts encoded by Ray Data, on this machine or on a cluster.

Workers send back the bytes of finished parts and write nothing; the process that
started them writes, so only it needs the gallery's disk.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mien.errors import BadInput, MienError, MissingExtra
from mien.files import write_bytes
from mien.search._parts import Part, encode_part

HERE = "local"  # the address that starts Ray on this machine
STARTS = 3  # Ray gives its first process 30 s and no option for more: too few on a busy machine


def import_ray() -> Any:
    """Ray with Ray Data; MissingExtra where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or it reports to its makers
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtra("encoding on Ray needs pip install 'mien[ray]'") from error
    return ray


def encode_on_ray(parts: Sequence[Part], folder: Path, address: str) -> Generator[Part, None, None]:
    """Each part once its file is in `folder`, in any order; Ray repeats what a dead worker lost.

    Raises BadInput when there is no cluster at `address`, when a worker does not see
    the photos, and when it cannot open the models.
    """
    with joined(address) as ray:
        rows = [
            {"number": number, "part": part, "seen": _seen(part)}
            for number, part in enumerate(parts)
        ]
        data = ray.data.from_items(rows, override_num_blocks=len(rows)).map(_encode, num_cpus=1)
        try:
            for row in data.iter_rows():
                if row["failure"]:
                    raise BadInput(row["failure"])
                part = parts[row["number"]]
                write_bytes(folder / part.name, row["file"])
                yield part
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise BadInput(
                f"Ray stopped ({reason}); run the same again: finished shards are kept"
            ) from error


def _seen(part: Part) -> str:
    """A photo that is there, as seen from here; "" when there is none."""
    paths = (photo.path for batch in part.batches for photo in batch)
    return next((str(path) for path in paths if path.is_file()), "")


def _encode(row: dict[str, Any]) -> dict[str, Any]:
    """In a worker: {"number", "file": the part's bytes, "failure": why there are none}."""
    number, seen = row["number"], row["seen"]
    try:
        if seen and not Path(seen).is_file():
            raise BadInput(
                f"{seen} cannot be seen; put the photos on a disk that every node "
                "sees under the same path"
            )
        return {"number": number, "file": encode_part(row["part"], cores=1), "failure": ""}
    except MienError as error:
        said = f"on {socket.gethostname()}: {error}"
        return {"number": number, "file": b"", "failure": said}


@contextmanager
def joined(address: str) -> Iterator[Any]:
    """Ray at `address` inside the block; one that the caller runs already is left as it is.

    Raises BadInput when there is none at this address, MissingExtra.
    """
    ray = import_ray()
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if ray.is_initialized():
        yield ray
        return
    try:
        _knock(address)
        _start(ray, address)
    except Exception as error:  # Ray raises bare ones when a start takes too long
        reason = str(error).strip().splitlines()[0]
        raise BadInput(
            f"no Ray at {address} ({reason}); give the address of a running cluster, or {HERE}"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _start(ray: Any, address: str) -> None:
    """Ray's own Exception when it did not start, on this machine `STARTS` times in a row."""
    how: dict[str, Any] = {"include_dashboard": False} if address == HERE else {}
    for left in reversed(range(STARTS if address == HERE else 1)):
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **how)
            return
        except Exception as error:
            if not left or "timed out" not in str(error):
                raise


def _knock(address: str) -> None:
    """OSError when nothing listens at HOST:PORT, for which Ray would wait many minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()

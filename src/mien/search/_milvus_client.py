"""A connection to Milvus, and the numbers by which it knows faces."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mien.errors import BadInput, MissingExtra
from mien.search._shard import Shard

LOCAL = ".db"  # what the path of an embedded store ends with
TOKEN = "MIEN_MILVUS_TOKEN"  # environment variable with a cluster's token
PLACE = 20  # bits of a face's row in its shard


def connect(uri: str) -> Any:
    """A client of the store at `uri`: a path that ends with .db, or http://HOST:PORT.

    MissingExtra without pymilvus, BadInput when the store cannot be reached.
    """
    folder = local_folder(uri)
    if folder is not None and folder.is_file():  # Milvus prints a traceback
        raise BadInput(f"{uri} is a file and no Milvus store; give --uri another path")
    try:
        from pymilvus import MilvusClient
    except ImportError as error:
        raise MissingExtra("an index in Milvus needs pip install 'mien[milvus]'") from error
    if folder is not None:  # it lacks a call that the client can do without
        logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
    with said(uri):
        return MilvusClient(uri, token=os.environ.get(TOKEN, ""), timeout=None)


@contextmanager
def said(uri: str) -> Iterator[None]:
    """Milvus's own errors as BadInput that names the store."""
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except (MilvusException, ConnectionError) as error:
        reason = str(getattr(error, "message", "") or error).strip().splitlines()[0]
        raise BadInput(
            f"the Milvus store {uri} cannot be used ({reason}); see that it runs and is not "
            "held by another process, or give another --uri"
        ) from error


def local_folder(uri: str) -> Path | None:
    """Where an embedded store lies; None for a server's."""
    return Path(uri) if uri.endswith(LOCAL) and "://" not in uri else None


def numbers(shard: Shard) -> np.ndarray:
    """int64 [N], of a shard's faces; shard numbers are never used again, so these are not."""
    place = int(shard.path.stem.partition("-")[2])
    return (place << PLACE) + np.arange(len(shard), dtype=np.int64)


def digest(vectors: np.ndarray) -> str:
    """Names a basis."""
    data = np.ascontiguousarray(vectors, np.float32).tobytes()
    return hashlib.blake2b(data, digest_size=12).hexdigest()

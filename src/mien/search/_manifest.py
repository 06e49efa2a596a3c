"""manifest.json of a gallery: the one file that says what counts."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mien.errors import BadGallery
from mien.files import write_json

MANIFEST, FORMAT = "manifest.json", 1
DTYPES = ("float32", "float16")
SHARD = re.compile(r"shard-\d{6,}\.npz")


@dataclass(frozen=True)
class Manifest:
    """mark, space, shape: of the latents; next: number of the next shard; shards: file names.

    dtype: what latents are stored as, float32 or float16.
    """

    mark: str
    space: str
    shape: tuple[int, ...]
    next: int = 1
    shards: tuple[str, ...] = ()
    format: int = FORMAT
    dtype: str = "float32"


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Acknowledge: replace the manifest atomically."""
    write_json(folder / MANIFEST, asdict(manifest))


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a gallery; BadGallery when the folder is none or it is damaged."""
    path = folder / MANIFEST
    if not path.is_file():
        raise BadGallery(f"{folder} is not a gallery; make one with: mien gallery build {folder}")
    try:
        return _parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadGallery(
            f"{path} is damaged ({error}); build the gallery again in another folder"
        ) from error


def _parse(value: Any) -> Manifest:
    if value["format"] != FORMAT:
        raise ValueError(f"its format is {value['format']}, this version of mien reads {FORMAT}")
    if not all(SHARD.fullmatch(name) for name in value["shards"]):
        raise ValueError("it lists files that are no shards")
    if value.get("dtype", "float32") not in DTYPES:
        raise ValueError(f"its latents are {value['dtype']}")
    return Manifest(
        mark=str(value["mark"]),
        space=str(value["space"]),
        shape=tuple(int(size) for size in value["shape"]),
        next=int(value["next"]),
        shards=tuple(value["shards"]),
        dtype=str(value.get("dtype", "float32")),
    )

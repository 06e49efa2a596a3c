"""The files of a gallery folder: which are read together, and which are swept."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from mien.errors import BadGallery, BadInput
from mien.search._manifest import Manifest, read_manifest
from mien.search._shard import Shard

LOCK, PARTS = ".lock", "parts"  # parts: shards that a build has finished and not yet added
PART = re.compile(r"part-[0-9a-f]{32}\.npz|\.part-.+")
CODES = re.compile(r"codes-[0-9a-f]{12}(-(?P<shard>shard-\d{6,}))?\.npz")
OURS = re.compile(
    rf"shard-\d{{6,}}\.npz|\.(shard-\d{{6,}}\.npz|manifest\.json|index\.json|{CODES.pattern})\..+"
)


def held(folder: Path) -> list[str]:
    """Names of what is in a folder, made when missing; BadInput when it cannot be written.

    What a dead `create` may have left does not count; a shard without a manifest does.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = sorted(item.name for item in folder.iterdir())
    except OSError as error:
        raise BadInput(f"cannot write {folder}: {error.strerror}") from error
    return [
        name
        for name in names
        if name != LOCK and not (name.startswith(".") and OURS.fullmatch(name))
    ]


def read_shards(folder: Path) -> tuple[Manifest, tuple[Shard, ...]]:
    """Manifest and its shards; tried again when a writer replaced shards in between."""
    manifest = read_manifest(folder)
    while True:
        try:
            return manifest, tuple(Shard(folder / name) for name in manifest.shards)
        except FileNotFoundError as error:
            again = read_manifest(folder)
            if again == manifest:
                raise BadGallery(
                    f"{error.args[0]} is missing; build the gallery again in another folder"
                ) from error
            manifest = again


def sweep(folder: Path, keep: Collection[str]) -> None:
    """Delete our own files that the manifest does not list; BadInput when that fails.

    Codes go with their shard, plans of codes with the last one.
    """
    for path in folder.iterdir():
        codes = CODES.fullmatch(path.name)
        if codes:
            stays = f"{codes['shard']}.npz" in keep if codes["shard"] else bool(keep)
        else:
            stays = path.name in keep or not OURS.fullmatch(path.name)
        if not stays:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise BadInput(f"cannot delete {path}: {error.strerror}") from error


def sweep_parts(folder: Path, keep: Collection[str] = ()) -> None:
    """Delete the parts of a build that are not kept, and their folder when it is left empty."""
    parts = folder / PARTS
    if not parts.is_dir():
        return
    try:
        for path in parts.iterdir():
            if path.name not in keep and PART.fullmatch(path.name):
                path.unlink(missing_ok=True)
        if not any(parts.iterdir()):
            parts.rmdir()
    except OSError as error:
        raise BadInput(f"cannot delete {error.filename}: {error.strerror}") from error

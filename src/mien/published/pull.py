"""Fetch a published file: resumed where it stopped, checked, and there whole or not at all.

The only place in mien that opens a connection, and only when asked.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mien.errors import BadInput
from mien.files import sync_folder
from mien.published._http import Notes, Order, Progress, fetch, forget
from mien.published.catalogue import CATALOGUE, Entry, find_entry

ADDRESS = re.compile(r"[!-~]+")
HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Pulled:
    """A fetched file. checked: whether it was compared with a known checksum."""

    path: Path
    sha256: str
    checked: bool


def order(name_or_url: str, out: Path | None = None, sha256: str = "") -> Order:
    """The order for a checkpoint of the catalogue or for any http address.

    out: a file, or a folder that exists; the published name in the working
    folder if left out. Raises UnknownName, or BadInput for a checkpoint without a
    direct address, an address of another scheme, and a malformed checksum.
    """
    named = "://" not in name_or_url
    entry = find_entry(name_or_url) if named else _entry_at(name_or_url)
    if entry is not None and not entry.url:
        raise BadInput(
            f"{entry.name} has no direct address; fetch {entry.file} from {entry.page} in a "
            f"browser, then run: mien models import {entry.file} -o {entry.name}"
        )
    url = entry.url if entry is not None else name_or_url
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or not ADDRESS.fullmatch(url):
        raise BadInput(f"{url} is no http or https address")
    digest = sha256.strip().lower() or (entry.sha256 if entry is not None else "")
    if digest and not HEX.fullmatch(digest):
        raise BadInput(f"--sha256 {sha256}: expected 64 hexadecimal digits")
    page = entry.page if entry is not None else ""
    return Order(url, _target(url, entry, out), digest, page)


def pull(wanted: Order, progress: Progress = lambda done, total, text: None) -> Pulled:
    """Fetch a file; what an earlier call left unfinished is continued.

    progress: called with bytes done, bytes in all (0 = unknown) and a text.
    Raises BadInput in one sentence when the server, the connection, the disk or
    the checksum fails; the file's name is taken only by a whole, checked file.
    """
    if wanted.path.exists():
        return _there(wanted)
    part = wanted.path.with_name(wanted.path.name + ".part")
    with _part(part) as handle:
        fetch(wanted, handle, Notes(part), progress)
        os.fsync(handle.fileno())
        found = _digest(part)
        if wanted.sha256 and found != wanted.sha256:
            forget(part)
            raise BadInput(
                f"{wanted.url} is not the file it should be: its sha256 is {found}, expected "
                f"{wanted.sha256}; what was fetched is deleted, try again or ask its publisher"
            )
        os.replace(part, wanted.path)
        forget(part)
    sync_folder(wanted.path.parent)
    return Pulled(wanted.path, found, bool(wanted.sha256))


def _entry_at(url: str) -> Entry | None:
    return next((entry for entry in CATALOGUE if entry.url == url), None)


def _target(url: str, entry: Entry | None, out: Path | None) -> Path:
    name = entry.file if entry is not None else Path(unquote(urlsplit(url).path)).name
    if out is not None and not out.is_dir():
        return out
    if not name:
        raise BadInput(f"{url} names no file; give one with --out")
    return (out or Path()) / name


def _there(wanted: Order) -> Pulled:
    if wanted.path.is_dir():
        raise BadInput(f"{wanted.path} is a folder; give the name of a file with --out")
    found = _digest(wanted.path)
    if found != wanted.sha256:
        state = "with another sha256" if wanted.sha256 else "already"
        raise BadInput(f"{wanted.path} exists {state}; delete it or choose another name with --out")
    return Pulled(wanted.path, found, True)


@contextmanager
def _part(part: Path) -> Iterator[FileIO]:
    """The unfinished file, open for appending and locked against a second writer."""
    import fcntl  # missing on Windows

    try:
        handle = FileIO(part, "a")
    except OSError as error:
        raise BadInput(f"cannot write {part}: {error.strerror}") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BadInput(f"{part} is being written by another process; wait for it") from error
        try:
            yield handle
        finally:
            if part.exists() and not part.stat().st_size:
                forget(part)


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()

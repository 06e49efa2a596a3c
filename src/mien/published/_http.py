"""One file over HTTP, appended to what is there already."""

from __future__ import annotations

import errno
import http.client
import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mien.errors import BadInput
from mien.files import write_json

CHUNK = 1 << 20
TIMEOUT = 60  # seconds without a byte
AGENT = {"User-Agent": "mien", "Accept-Encoding": "identity"}
BEYOND = 416  # nothing left from the asked position on
AGAIN = "run the same command again to continue"
RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")
REASONS = {
    401: "the server wants you to sign in there",
    403: "the server refuses to give it",
    404: "the server has no such file",
    410: "the server no longer has it",
    429: "the server is asked too often; try again later",
}
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Order:
    """What to fetch, from where, and where to."""

    url: str
    path: Path
    sha256: str = ""  # hexadecimal; not checked if empty
    page: str = ""  # the publisher's page, for messages


@dataclass(frozen=True)
class Notes:
    """What is known of an unfinished file: its address, and the server's mark of its version."""

    part: Path

    @property
    def path(self) -> Path:
        """A small JSON file beside the unfinished one."""
        return self.part.with_name(self.part.name + ".json")

    def read(self) -> dict[str, str]:
        """What was noted; nothing when it cannot be read."""
        try:
            held = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return held if isinstance(held, dict) else {}

    def write(self, url: str, headers: Any) -> None:
        """Note the address and the version that the server names."""
        tag = headers.get("ETag", "")
        version = headers.get("Last-Modified", "") if tag.startswith("W/") or not tag else tag
        write_json(self.path, {"url": url, "version": version})


def forget(part: Path) -> None:
    """Delete an unfinished file and its notes."""
    part.unlink(missing_ok=True)
    Notes(part).path.unlink(missing_ok=True)


def fetch(wanted: Order, handle: FileIO, notes: Notes, progress: Progress) -> None:
    """Append what is missing; begin again when the server has another version by now."""
    noted = notes.read()
    if noted.get("url") != wanted.url:
        _restart(handle)
    with _sentences(wanted):
        try:
            _append(wanted, handle, notes, progress)
        except urllib.error.HTTPError as error:
            if error.code != BEYOND:
                raise
            if error.headers.get("Content-Range") != f"bytes */{handle.tell()}":
                _restart(handle)
                _append(wanted, handle, notes, progress)


def _append(wanted: Order, handle: FileIO, notes: Notes, progress: Progress) -> None:
    done = handle.tell()
    with _answer(wanted.url, done, notes.read().get("version", "")) as answer:
        if done and not _continues(answer, done):
            done = _restart(handle)
            progress(0, 0, "the server cannot continue; starting again")
        length = answer.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() else 0
        _check_kind(answer, wanted)
        _check_room(wanted, total - done)
        if not done:
            notes.write(wanted.url, answer.headers)
        while chunk := answer.read(CHUNK):
            _write(handle, chunk)
            progress(handle.tell(), total, "")
    if handle.tell() < total:
        raise BadInput(
            f"the connection to {_host(wanted.url)} broke after {handle.tell()} of {total} bytes; "
            f"{AGAIN}"
        )


def _restart(handle: FileIO) -> int:
    handle.seek(0)
    handle.truncate()
    return 0


def _write(handle: FileIO, chunk: bytes) -> None:
    left = memoryview(chunk)
    while left:
        left = left[handle.write(left) :]


def _answer(url: str, start: int, version: str) -> Any:
    headers = dict(AGENT)
    if start:
        headers["Range"] = f"bytes={start}-"
        if version:
            headers["If-Range"] = version  # another version is sent from its beginning
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)


def _continues(answer: Any, start: int) -> bool:
    found = RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    return answer.status == 206 and found is not None and int(found[1]) == start


def _check_kind(answer: Any, wanted: Order) -> None:
    if answer.headers.get_content_type() == "text/html":
        where = wanted.page or wanted.url
        raise BadInput(
            f"{wanted.url} answers with a web page instead of a file; open {where} in a browser"
        )


def _check_room(wanted: Order, needed: int) -> None:
    free = shutil.disk_usage(wanted.path.parent).free
    if needed > free:
        raise BadInput(
            f"{wanted.path.parent} has {free >> 20} MB free, {needed >> 20} MB are still to come; "
            f"make room and {AGAIN}"
        )


@contextmanager
def _sentences(wanted: Order) -> Iterator[None]:
    """Failures of server, connection and disk as one sentence that says what to do."""
    try:
        yield
    except urllib.error.HTTPError as error:
        reason = REASONS.get(error.code, f"the server answers {error.code}; try again later")
        seen = f"; see {wanted.page}" if wanted.page else ""
        raise BadInput(f"cannot fetch {wanted.url}: {reason} ({error.code}){seen}") from error
    except urllib.error.URLError as error:
        reason = str(getattr(error.reason, "strerror", None) or error.reason)
        raise BadInput(f"cannot reach {_host(wanted.url)}: {reason}; {AGAIN}") from error
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise BadInput(f"the connection to {_host(wanted.url)} broke; {AGAIN}") from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise BadInput(f"{wanted.path.parent} is full; make room and {AGAIN}") from error


def _host(url: str) -> str:
    return urlsplit(url).netloc

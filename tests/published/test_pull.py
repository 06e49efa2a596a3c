"""Fetching, against a server in a thread of this process."""

import contextlib
import errno
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mien.errors import BadInput, UnknownName
from mien.published import _http
from mien.published.catalogue import CATALOGUE
from mien.published.pull import order, pull

DATA = bytes(range(256)) * 12_000  # 3 MB, so that three chunks are needed
DIGEST = hashlib.sha256(DATA).hexdigest()


class Site:
    """What the server has, and what it was asked."""

    def __init__(self):
        self.data, self.tag, self.ranges, self.stop = DATA, '"one"', True, None
        self.kind, self.status, self.asked = "application/octet-stream", 200, []


class Handler(BaseHTTPRequestHandler):
    """Answers like a file server, with ranges and If-Range."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        site = self.server.site
        site.asked.append(self.headers.get("Range"))
        if site.status != 200:
            return self._head(site.status, 0)
        start = self._start(site)
        if start >= len(site.data):
            return self._head(416, 0, ("Content-Range", f"bytes */{len(site.data)}"))
        last = len(site.data) - 1
        extra = [("Content-Range", f"bytes {start}-{last}/{last + 1}")] if start else []
        self._head(206 if start else 200, len(site.data) - start, *extra)
        with contextlib.suppress(ConnectionError):
            self.wfile.write(site.data[start : site.stop])
        self.close_connection = True

    def _start(self, site):
        asked, version = self.headers.get("Range"), self.headers.get("If-Range")
        if not site.ranges or asked is None or (version is not None and version != site.tag):
            return 0
        return int(asked.removeprefix("bytes=").rstrip("-"))

    def _head(self, status, length, *extra):
        self.send_response(status)
        site = self.server.site
        for name, value in [("Content-Type", site.kind), ("Content-Length", length), *extra]:
            self.send_header(name, str(value))
        if site.tag:
            self.send_header("ETag", site.tag)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.site = Site()
    server.site.url = f"http://127.0.0.1:{server.server_port}/models/ffhq.pkl?e=1"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.site
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(site, tmp_path, sha256="", progress=lambda *_: None):
    return pull(order(site.url, tmp_path, sha256), progress)


def interrupt(site, tmp_path, stop=1_234_567):
    """Fetch until the connection breaks; the bytes that are kept."""
    site.stop = stop
    with pytest.raises(BadInput, match=r"broke after 1234567 of 3072000 bytes; run the same"):
        fetch(site, tmp_path)
    site.stop = None
    return (tmp_path / "ffhq.pkl.part").read_bytes()


def test_a_file_is_fetched_whole_and_checked(site, tmp_path):
    steps = []
    pulled = fetch(site, tmp_path, DIGEST.upper(), lambda *step: steps.append(step))
    assert (pulled.path, pulled.sha256, pulled.checked) == (tmp_path / "ffhq.pkl", DIGEST, True)
    assert pulled.path.read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == ["ffhq.pkl"]
    assert steps[-1][:2] == (len(DATA), len(DATA))
    assert len(steps) >= 3
    assert not fetch(site, tmp_path / "other").checked
    assert (tmp_path / "other").read_bytes() == DATA


def test_an_interrupted_file_is_continued(site, tmp_path):
    assert interrupt(site, tmp_path) == DATA[:1_234_567]
    assert not (tmp_path / "ffhq.pkl").exists()
    assert fetch(site, tmp_path, DIGEST).path.read_bytes() == DATA
    assert site.asked == [None, "bytes=1234567-"]
    assert [path.name for path in tmp_path.iterdir()] == ["ffhq.pkl"]


def test_a_server_without_ranges_starts_again(site, tmp_path):
    interrupt(site, tmp_path)
    site.ranges = False
    steps = []
    pulled = fetch(site, tmp_path, DIGEST, lambda *step: steps.append(step))
    assert pulled.path.read_bytes() == DATA
    assert "starting again" in steps[0][2]


def test_another_version_on_the_server_is_not_appended(site, tmp_path):
    interrupt(site, tmp_path)
    site.data, site.tag = DATA[::-1], '"two"'
    assert fetch(site, tmp_path).path.read_bytes() == DATA[::-1]


def test_another_address_is_not_appended(site, tmp_path):
    kept = interrupt(site, tmp_path)
    site.url, site.data = site.url.replace("e=1", "e=2"), b"short"
    assert len(kept) > len(site.data)
    assert fetch(site, tmp_path).path.read_bytes() == b"short"
    assert site.asked[-1] is None


def test_a_part_that_is_whole_already_is_checked_and_kept(site, tmp_path):
    interrupt(site, tmp_path)
    (tmp_path / "ffhq.pkl.part").write_bytes(DATA)
    assert fetch(site, tmp_path, DIGEST).path.read_bytes() == DATA


def test_a_part_that_is_longer_than_the_file_starts_again(site, tmp_path):
    interrupt(site, tmp_path)
    (tmp_path / "ffhq.pkl.part").write_bytes(DATA + b"more")
    assert fetch(site, tmp_path, DIGEST).path.read_bytes() == DATA


def test_a_wrong_checksum_leaves_nothing(site, tmp_path):
    site.data = DATA[:-1] + b"x"
    with pytest.raises(BadInput, match=rf"its sha256 is [0-9a-f]{{64}}, expected {DIGEST}"):
        fetch(site, tmp_path, DIGEST)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (404, "has no such file"), (403, "refuses"), (401, "sign in"),
        (503, "answers 503; try again later"),
    ],
)  # fmt: skip
def test_what_the_server_refuses(site, tmp_path, status, sentence):
    site.status = status
    with pytest.raises(BadInput, match=sentence) as caught:
        fetch(site, tmp_path)
    assert site.url in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_web_page_is_not_taken_for_a_file(site, tmp_path):
    site.kind = "text/html; charset=utf-8"
    with pytest.raises(BadInput, match="web page"):
        fetch(site, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nobody_answers(site, tmp_path):
    closed = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    closed.server_close()
    site.url = f"http://127.0.0.1:{closed.server_port}/a.pt"
    with pytest.raises(BadInput, match=r"cannot reach 127\.0\.0\.1:\d+: Connection refused"):
        fetch(site, tmp_path)


def test_a_full_disk_is_seen_before_and_during(site, tmp_path, monkeypatch):
    usage = _http.shutil.disk_usage(tmp_path)._replace(free=1 << 20)
    with monkeypatch.context() as patch:
        patch.setattr(_http.shutil, "disk_usage", lambda _: usage)
        with pytest.raises(BadInput, match="has 1 MB free, 2 MB are still to come"):
            fetch(site, tmp_path)

    def full(handle, chunk):
        handle.write(chunk[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(_http, "_write", full)
        with pytest.raises(BadInput, match="is full; make room and run the same command again"):
            fetch(site, tmp_path)
    assert (tmp_path / "ffhq.pkl.part").read_bytes() == DATA[:1000]
    assert fetch(site, tmp_path, DIGEST).path.read_bytes() == DATA


def test_two_at_once_do_not_mix(site, tmp_path):
    import fcntl

    with (tmp_path / "ffhq.pkl.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BadInput, match="written by another process"):
            fetch(site, tmp_path)


def test_a_file_that_is_there_is_kept(site, tmp_path):
    (tmp_path / "ffhq.pkl").write_bytes(DATA)
    assert fetch(site, tmp_path, DIGEST).checked
    with pytest.raises(BadInput, match="exists with another sha256"):
        fetch(site, tmp_path, "0" * 64)
    with pytest.raises(BadInput, match="exists already"):
        fetch(site, tmp_path)
    assert site.asked == []


def test_the_folder_must_exist(site, tmp_path):
    with pytest.raises(BadInput, match="cannot write"):
        fetch(site, tmp_path / "missing" / "a.pkl")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("ftp://host/a.pt", "no http"), ("file:///etc/passwd", "no http"), ("http:///a", "no http"),
        ("http://host/a b", "no http"), ("http://host/", "names no file"),
        ("e4e-ffhq", "has no direct address; fetch e4e_ffhq_encode.pt from https://github.com"),
    ],
)  # fmt: skip
def test_orders_that_cannot_be_filled(asked, sentence):
    with pytest.raises(BadInput, match=sentence):
        order(asked)


def test_orders_by_name(tmp_path):
    known = order("stylegan2-ada-ffhq", tmp_path)
    assert known.url.endswith("/ffhq.pkl")
    assert known.path == tmp_path / "ffhq.pkl"
    assert len(known.sha256) == 64
    assert order(known.url).sha256 == known.sha256
    assert order("boundary-stylegan-ffhq-smile-w").url.endswith(
        "stylegan_ffhq_smile_w_boundary.npy"
    )
    with pytest.raises(UnknownName, match="did you mean stylegan2-ada-ffhq"):
        order("stylegan2-ada-fhq")
    with pytest.raises(BadInput, match="64 hexadecimal"):
        order("stylegan2-ada-ffhq", sha256="12ab")


def test_the_catalogue_is_whole():
    assert len({entry.name for entry in CATALOGUE}) == len(CATALOGUE)
    for entry in CATALOGUE:
        assert entry.licence
        assert entry.what
        assert entry.page.startswith("https://")
        assert entry.url.startswith("https://") or not entry.url
        assert len(entry.sha256) in (0, 64)

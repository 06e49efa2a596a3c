"""Frames come in order, with their time and upright, and bad sources get one sentence."""

from __future__ import annotations

import functools
import struct
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import BadInput, MissingExtra
from mien.live.source import Frame, open_source
from tests.live.videos import write


def pictures(count: int = 6) -> list[np.ndarray]:
    """A grey that grows brighter, with a white corner in the upper left."""
    out = np.zeros((count, 48, 64, 3), np.uint8) + (30 * np.arange(count))[:, None, None, None]
    out[:, :12, :12] = 255
    return list(out.astype(np.uint8))


def frames_of(name: str | Path) -> list[Frame]:
    source = open_source(str(name))
    try:
        return list(source.frames())
    finally:
        source.close()


def test_a_file_gives_every_frame_with_its_time(tmp_path: Path) -> None:
    place = write(tmp_path / "a.mp4", pictures())
    frames = frames_of(place)
    assert np.array_equal([frame.pixels for frame in frames], pictures())
    assert [frame.seconds for frame in frames] == pytest.approx(np.arange(6) / 30, abs=1e-4)
    source = open_source(str(place))
    assert (source.rate, source.endless) == (30, False)
    source.close()


def test_a_phones_video_is_turned_upright(tmp_path: Path) -> None:
    place = write(tmp_path / "a.mp4", pictures())
    data = bytearray(place.read_bytes())
    at = data.index(b"tkhd") + 44  # the track's matrix (ISO 14496-12, 8.3.2)
    one = 1 << 16
    data[at : at + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)  # clockwise
    place.write_bytes(data)
    frames = frames_of(place)
    assert np.array_equal(frames[2].pixels, np.rot90(pictures()[2], -1))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a server on this machine that hands out `tmp_path`."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_stream_gives_the_same_frames(tmp_path: Path, served: str) -> None:
    write(tmp_path / "a.mkv", pictures())
    assert np.array_equal([f.pixels for f in frames_of(f"{served}/a.mkv")], pictures())
    with pytest.raises(BadInput, match=r"the stream .*missing.mp4 cannot be read .*its address"):
        open_source(f"{served}/missing.mp4")


def test_a_file_opens_no_connection(tmp_path: Path, served: str) -> None:
    write(tmp_path / "a.ts", pictures(), lossless=False)
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.2,\n{served}/a.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.m3u8").write_text(text)
    assert len(frames_of(f"{served}/list.m3u8")) == 6  # through the server it plays
    with pytest.raises(BadInput):
        frames_of(tmp_path / "list.m3u8")


def test_there_is_no_such_camera() -> None:
    with pytest.raises(BadInput, match=r"there is no camera 93, .* a video file or a stream"):
        open_source("93")
    for number in (2**31, 10**19, "9" * 5000):
        with pytest.raises(BadInput, match=r"there is no camera [0-9]{10,40}, "):
            open_source(str(number))


def test_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.txt").write_text("no video, a text\n" * 50)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    Image.new("RGB", (64, 64)).save(tmp_path / "one.jpg")
    place = write(tmp_path / "whole.mp4", pictures())
    (tmp_path / "half.mp4").write_bytes(place.read_bytes()[: place.stat().st_size // 2])
    for name, sentence in {
        "empty.mp4": "is an empty file",
        "text.txt": "is no video",
        "noise.mp4": "is no video that can be read",
        "one.jpg": "is no video; give a video file",
        "half.mp4": "is no video that can be read",
        "missing.mp4": "there is no video",
        ".": "is a folder",
    }.items():
        with pytest.raises(BadInput, match=sentence):
            frames_of(tmp_path / name)
    with pytest.raises(BadInput, match="streams begin with http://"):
        open_source("gopher://somewhere/a.mp4")


def test_without_pyav_the_mend_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write(tmp_path / "a.mp4", pictures())
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtra, match=r"mien\[live\]"):
        open_source(str(place))

"""Frames with their time from a camera, a video file or a stream."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mien.errors import BadInput, MissingExtra
from mien.live._cv2 import cv2

STREAMS = ("http", "https", "rtsp", "rtmp", "udp", "tcp", "srt")
PROTOCOLS = "http,https,tls,tcp,udp,rtp,rtsp,rtmp,srt,crypto"  # none that reads files here
FILE = {"protocol_whitelist": "file"}  # a playlist in a file must not open connections
TIMEOUT = 10.0  # seconds without an answer after which a stream is given up
NO_VIDEO = ("tty", "image2")  # how FFmpeg reads texts and single pictures
RATE = 30.0  # frames a second where a source does not tell
QUARTER = 90  # degrees
CAMERAS = 2**31 - 1  # the highest number that OpenCV takes


@dataclass(frozen=True)
class Frame:
    """pixels: uint8 [H, W, 3] RGB, upright. seconds: since the source's own beginning."""

    pixels: np.ndarray
    seconds: float


class Source(Protocol):
    """Where frames come from. rate: frames a second. endless: nobody knows when it ends."""

    rate: float
    endless: bool

    def frames(self) -> Iterator[Frame]:
        """Every frame in its order, each of the first one's size."""
        ...

    def close(self) -> None:
        """Let go of the camera, file or connection."""
        ...


def open_source(name: str) -> Source:
    """A camera by its number ("0"), a stream by its address, or a video file.

    Raises BadInput where there is no such camera, file or stream, or no video in it;
    MissingExtra where OpenCV (cameras) or PyAV (all else) is not installed.
    """
    if name.isdecimal():
        if len(name) > len(str(CAMERAS)) or int(name) > CAMERAS:  # int() refuses very long texts
            raise BadInput(_no_camera(f"camera {name:.40}"))
        return Camera(int(name))
    scheme, separator, _ = name.partition("://")
    if not separator:
        return Video(_checked(Path(name)), FILE)
    if scheme.lower() not in STREAMS:
        raise BadInput(f"{name}: streams begin with {'://, '.join(STREAMS)}://")
    return Video(name, {"protocol_whitelist": PROTOCOLS})


class Camera:
    """A camera of this machine, by OpenCV."""

    def __init__(self, number: int) -> None:
        self._capture = cv2().VideoCapture(number)
        self.name, self.endless = f"camera {number}", True
        self.rate = RATE
        if not self._capture.isOpened():
            raise BadInput(_no_camera(self.name))
        told = self._capture.get(cv2().CAP_PROP_FPS)
        self.rate = told if 1 <= told <= 1000 else RATE

    def frames(self) -> Iterator[Frame]:
        """What the camera sees; BadInput when it gives nothing, as one pulled out does."""
        begun = time.monotonic()
        while True:
            came, pixels = self._capture.read()
            if not came:
                raise BadInput(f"{self.name} gives no picture; is it plugged in?")
            yield Frame(cv2().cvtColor(pixels, cv2().COLOR_BGR2RGB), time.monotonic() - begun)

    def close(self) -> None:
        """Switch it off."""
        self._capture.release()


class Video:
    """A video file, or a stream by its address, by PyAV."""

    def __init__(self, place: Path | str, options: dict[str, str]) -> None:
        self.name = str(place)
        av = _av()
        try:
            self._container: Any = av.open(self.name, options=options, timeout=TIMEOUT)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise BadInput(_unreadable(place, error)) from error
        streams, kind = self._container.streams.video, self._container.format.name
        if not streams or kind in NO_VIDEO or kind.endswith("_pipe"):
            self._container.close()
            raise BadInput(f"{place} is no video; give a video file, as MP4, MKV, WebM or GIF")
        self._stream = streams[0]
        self._stream.thread_type = "AUTO"
        self.rate = float(self._stream.average_rate or RATE)
        self.endless = self._container.duration is None

    def frames(self) -> Iterator[Frame]:
        """The pictures in the order they are shown; a stream that breaks off has ended.

        Raises BadInput where a file has none, or is damaged.
        """
        size: tuple[int, int] | None = None
        first = last = 0.0
        for number, picture in enumerate(self._decoded()):
            if size is None:
                size = picture.width, picture.height
                first = picture.time or 0.0
            elif picture.time is None:
                last += 1 / self.rate
            last = last if picture.time is None else picture.time - first
            shown = picture.to_ndarray(format="rgb24", width=size[0], height=size[1])
            yield Frame(_upright(shown, picture.rotation), last if number else 0.0)
        if size is None:
            raise BadInput(f"{self.name} holds no picture that can be read; save it again")

    def _decoded(self) -> Iterator[Any]:
        av = _av()
        pictures, came = self._container.decode(self._stream), False
        while True:
            try:
                picture = next(pictures)
            except (StopIteration, av.EOFError):
                return
            except (av.FFmpegError, OSError) as error:
                if self.endless and came:
                    return
                raise BadInput(
                    f"{self.name} is damaged or broken off ({_reason(error)}); save it again"
                ) from error
            came = True
            yield picture

    def close(self) -> None:
        """Close the file or connection."""
        self._container.close()


def _no_camera(name: str) -> str:
    return (
        f"there is no {name}, or another program uses it; "
        "give another number, a video file or a stream's address"
    )


def _checked(path: Path) -> Path:
    if path.is_dir():
        raise BadInput(f"{path} is a folder; give the file of one video")
    if not path.exists():
        raise BadInput(f"there is no video {path}; give a file, a camera's number or an address")
    with suppress(OSError):  # PyAV says why
        if path.is_file() and path.stat().st_size == 0:
            raise BadInput(f"{path} is an empty file; fetch or save it again")
    return path


def _unreadable(place: Path | str, error: Exception) -> str:
    if isinstance(place, Path):
        return f"{place} is no video that can be read ({_reason(error)}); save it as MP4"
    return f"the stream {place} cannot be read ({_reason(error)}); check its address"


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _upright(pixels: np.ndarray, degrees: int) -> np.ndarray:
    """Pixels turned as the file says (counterclockwise), as phones write them."""
    turns = round(degrees / QUARTER) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise MissingExtra('videos need PyAV; run: pip install "mien[live]"') from error
    return av

"""Write a video frame by frame, as MP4, that says it was made by a model (see mark.py)."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mien.checks import check_shape
from mien.errors import BadInput, MissingExtra
from mien.files import atomic_open
from mien.provenance import _xmp

XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # its identifier in MP4
QUALITY = "18"  # H.264 constant rate factor: visually lossless
TICKS = 90_000  # a second: MPEG's own clock, in which every common rate is a whole number
BT601 = 6  # the matrix that RGB is converted by (ITU-T H.273); players would guess it from the size


@dataclass(frozen=True)
class VideoOptions:
    """How frames become a video."""

    rate: float = 30.0  # frames a second, told to players; each frame has its own time
    preset: str = "medium"  # of x264; "ultrafast" costs a fraction, for larger files
    generated: bool = False  # nothing of a photo is in it (see _xmp.packet)


class VideoWriter:
    """An MP4 that grows. note: what it says of itself, JSON values; may change until the end."""

    def __init__(self, stream: BinaryIO, note: Mapping[str, Any], options: VideoOptions) -> None:
        """Raises MissingExtra where PyAV is not installed."""
        self.note, self._options, self._stream = dict(note), options, stream
        self._av = _av()
        self._container: Any = self._av.open(stream, "w", format="mp4")
        self._container.metadata["comment"] = _text(note)
        self._video: Any = None
        self._shape: tuple[int, ...] = ()
        self._last = -1

    def add(self, pixels: np.ndarray, seconds: float) -> None:
        """The next frame, uint8 [H, W, 3] RGB, shown from `seconds` on.

        A frame that is not later than the one before is shown right after it. Raises
        BadInput for another size than the first frame's.
        """
        check_shape(pixels, self._shape or (None, None, 3), "frame of the video")
        even = _even(pixels)  # 4:2:0 halves the colours' resolution
        if self._video is None:
            self._begin(even)
            self._shape = pixels.shape
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        self._last = max(round(seconds * TICKS), self._last + 1)
        frame.pts, frame.time_base = self._last, Fraction(1, TICKS)
        self._container.mux(self._video.encode(frame))

    def close(self, whole: bool) -> None:
        """End the file. whole: its frames are all there; else it will be thrown away."""
        try:
            if whole:
                if self._video is None:
                    raise BadInput("a video needs at least one frame")
                self._container.mux(self._video.encode())
        finally:
            self._container.close()
        packet = _xmp.packet(_text(self.note), self._options.generated)
        self._stream.seek(0, 2)
        self._stream.write(struct.pack(">I4s", 24 + len(packet), b"uuid") + XMP_BOX + packet)

    def _begin(self, pixels: np.ndarray) -> None:
        settings = {"crf": QUALITY, "preset": self._options.preset}
        rate = Fraction(self._options.rate).limit_denominator(1000)
        self._video = self._container.add_stream("libx264", rate=rate, options=settings)
        self._video.height, self._video.width = pixels.shape[:2]
        self._video.pix_fmt = "yuv420p"
        self._video.codec_context.time_base = Fraction(1, TICKS)
        self._video.codec_context.colorspace = BT601


@contextmanager
def open_video(
    path: Path, note: Mapping[str, Any], options: VideoOptions | None = None
) -> Iterator[VideoWriter]:
    """A video that takes the name `path` only when the block ends well (see files.py)."""
    with atomic_open(path) as handle:
        writer = VideoWriter(handle, note, options or VideoOptions())
        try:
            yield writer
        except BaseException:
            writer.close(whole=False)
            raise
        writer.close(whole=True)


def _text(note: Mapping[str, Any]) -> str:
    return json.dumps(dict(note), ensure_ascii=True, sort_keys=True)


def _even(pixels: np.ndarray) -> np.ndarray:
    """A frame with even height and width, the last row or column repeated where one is odd."""
    pad = [(0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)]
    return np.pad(pixels, pad, mode="edge") if any(map(max, pad)) else pixels


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise MissingExtra(
            "MP4 needs PyAV; run: pip install 'mien[video]', or save .gif"
        ) from error
    return av

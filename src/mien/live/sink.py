"""Where changed frames go: a window, a video file, both, or nowhere."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from mien.errors import BadInput
from mien.live._cv2 import cv2
from mien.live.keys import ESCAPE, NONE
from mien.live.source import Frame
from mien.provenance.video import VideoOptions, VideoWriter, open_video

TITLE = "mien live"
WAITING = 4  # frames that are changed and not yet encoded
SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")  # one of them is set on Linux where there is a screen
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


class Sink(Protocol):
    """Takes frames."""

    def show(self, frame: Frame, lines: Sequence[str]) -> int:
        """A changed frame, with what may be written over it; the key that was pressed, or -1."""
        ...


class Nowhere:
    """Frames are only counted."""

    def show(self, frame: Frame, lines: Sequence[str]) -> int:
        """No key."""
        return NONE


class Several:
    """Every frame to each of several sinks, the last key counts."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks

    def show(self, frame: Frame, lines: Sequence[str]) -> int:
        """To all of them."""
        return max((sink.show(frame, lines) for sink in self._sinks), default=NONE)


class Window:
    """A window with the frames a second and the keys' targets written over the picture."""

    def __init__(self) -> None:
        """Raises BadInput where there is no screen, or OpenCV came without windows."""
        if sys.platform.startswith("linux") and not any(map(os.environ.get, SCREENS)):
            raise BadInput("there is no screen for a window; give -o FILE.mp4 or --no-window")
        try:
            cv2().namedWindow(TITLE, cv2().WINDOW_NORMAL)
        except cv2().error as error:
            raise BadInput(
                "this OpenCV has no windows (opencv-python-headless); install opencv-python in "
                "its place, or give -o FILE.mp4 or --no-window"
            ) from error
        self._sized = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        cv2().destroyWindow(TITLE)

    def show(self, frame: Frame, lines: Sequence[str]) -> int:
        """The key pressed since the last frame; Esc when the window was closed."""
        pixels = cv2().cvtColor(written(frame.pixels, lines), cv2().COLOR_RGB2BGR)
        if not self._sized:
            cv2().resizeWindow(TITLE, pixels.shape[1], pixels.shape[0])
            self._sized = True
        cv2().imshow(TITLE, pixels)
        key = cv2().waitKey(1)
        if cv2().getWindowProperty(TITLE, cv2().WND_PROP_VISIBLE) < 1:
            return ESCAPE
        return NONE if key < 0 else key & 0xFF


class VideoFile:
    """An MP4, encoded in a thread of its own; it appears only when all went well."""

    def __init__(self, path: Path, note: Mapping[str, Any], rate: float) -> None:
        """note: what the file says of itself, JSON values. rate: frames a second."""
        self.note = dict(note)
        self._path, self._rate = path, rate
        self._frames: queue.Queue[Frame | None] = queue.Queue(WAITING)
        self._error: BaseException | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        options = VideoOptions(rate=self._rate, preset="ultrafast")
        self._writer: VideoWriter = self._stack.enter_context(
            open_video(self._path, self.note, options)
        )
        self._thread = threading.Thread(target=self._encode, name="encoder", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._frames.put(None)
        self._thread.join()
        self._writer.note = self.note
        failed = error or self._error
        if failed is None:
            self._stack.close()
            return
        self._stack.__exit__(type(failed), failed, failed.__traceback__)
        if error is None:
            raise failed

    def show(self, frame: Frame, lines: Sequence[str]) -> int:
        """Queued for the encoder, without the lines; raises what encoding raised."""
        if self._error is not None:
            raise self._error
        self._frames.put(frame)
        return NONE

    def _encode(self) -> None:
        """Until None comes; after an error frames are fetched still, so that nobody waits."""
        while (frame := self._frames.get()) is not None:
            if self._error is not None:
                continue
            try:
                self._writer.add(frame.pixels, frame.seconds)
            except BaseException as error:  # told to whoever shows the next frame
                self._error = error


def written(pixels: np.ndarray, lines: Sequence[str]) -> np.ndarray:
    """A copy of a frame (uint8 [H, W, 3]) with lines of text in its upper left corner."""
    out = pixels.copy()
    size = max(pixels.shape[0] / 800, 0.4)
    for number, line in enumerate(lines, start=1):
        place = (8, round(32 * size * number))
        for colour, thick in ((BLACK, 3), (WHITE, 1)):  # white with a black rim reads everywhere
            cv2().putText(out, line, place, cv2().FONT_HERSHEY_SIMPLEX, size, colour, thick)
    return out

"""Frames read ahead in a thread: all of them, or only ever the newest."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Protocol, Self

from mien.live.source import Frame

AHEAD = 4  # frames that are decoded before they are asked for


class Clock(Protocol):
    """What time it is, and how to let it pass."""

    def now(self) -> float:
        """Seconds since some beginning."""
        ...

    def wait(self, seconds: float) -> None:
        """Return after so many seconds."""
        ...


class WallClock:
    """The real time."""

    def now(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)


def paced(frames: Iterable[Frame], clock: Clock) -> Iterator[Frame]:
    """The frames, none before its time: as a player shows a file."""
    begun: float | None = None
    for frame in frames:
        now = clock.now()
        begun = now - frame.seconds if begun is None else begun
        early = begun + frame.seconds - now
        if early > 0:
            clock.wait(early)
        yield frame


class Reader:
    """Iterate to get frames while a thread reads the next ones.

    newest: a frame that was not fetched before the next one came is dropped (and
    counted in `dropped`), so that what is fetched is never old. Otherwise every frame
    comes, and the thread waits. Errors of the frames come out here, in their place.
    """

    def __init__(self, frames: Iterable[Frame], newest: bool) -> None:
        self.dropped = 0
        self._frames, self._newest = frames, newest
        self._kept: deque[Frame] = deque()
        self._change = threading.Condition()
        self._ended = self._stopped = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name="frames", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._change:
            self._stopped = True
            self._change.notify_all()
        self._thread.join()

    def __iter__(self) -> Iterator[Frame]:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._kept or self._ended)
                if not self._kept:
                    if self._error is not None:
                        raise self._error
                    return
                frame = self._kept.popleft()
                self._change.notify_all()
            yield frame

    def _read(self) -> None:
        try:
            for frame in self._frames:
                if not self._offer(frame):
                    return
        except BaseException as error:  # told to whoever iterates
            self._error = error
        finally:
            with self._change:
                self._ended = True
                self._change.notify_all()

    def _offer(self, frame: Frame) -> bool:
        """Whether somebody still wants frames."""
        with self._change:
            if self._newest:
                self.dropped += len(self._kept)
                self._kept.clear()
            else:
                self._change.wait_for(lambda: len(self._kept) < AHEAD or self._stopped)
            self._kept.append(frame)
            self._change.notify_all()
            return not self._stopped

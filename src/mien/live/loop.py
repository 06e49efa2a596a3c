"""The loop: a frame, its faces, each cut out, changed, put back, and shown."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from mien.errors import NoFaceFound
from mien.live.changes import Changes
from mien.live.keys import Shown, legend, pressed
from mien.live.patch import cut, put_back
from mien.live.reader import Clock, Reader, WallClock
from mien.live.sink import Sink
from mien.live.source import Frame
from mien.live.track import Tracker

SPAN = 1.0  # seconds over which frames are counted


@dataclass(frozen=True)
class Report:
    """What a run did.

    frames: shown. changed: of them, with a face changed. dropped: frames that were
    never fetched. rate: frames a second from first to last. used: every target that was on.
    interrupted: it was ended from outside.
    """

    frames: int
    changed: int
    dropped: int
    rate: float
    used: tuple[str, ...]
    interrupted: bool


class Meter:
    """Counts frames a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._times: deque[float] = deque()
        self._first = self._last = clock.now()
        self.count = 0

    def tick(self) -> float:
        """One more frame; frames a second over the last second."""
        self._last = self._clock.now()
        self.count += 1
        self._first = self._last if self.count == 1 else self._first
        self._times.append(self._last)
        while len(self._times) > 2 and self._last - self._times[0] > SPAN:
            self._times.popleft()
        return _rate(len(self._times), self._last - self._times[0])

    @property
    def average(self) -> float:
        """Frames a second of all ticks."""
        return _rate(self.count, self._last - self._first)


@dataclass
class Run:
    """The parts that a run needs, and how far it is.

    wish: target -> amount, on at first. clock: by which frames a second are counted.
    """

    reader: Reader
    tracker: Tracker
    changes: Changes
    sink: Sink
    wish: Mapping[str, float]
    clock: Clock = field(default_factory=WallClock)

    def __post_init__(self) -> None:
        self._targets = self.changes.targets(self.wish)
        self._shown = Shown(dict(self.wish))
        self._used = dict.fromkeys(self.wish)
        self._meter = Meter(self.clock)
        self._changed = 0
        self._seen = False

    def __call__(self) -> Report:
        """Until the source ends, or a key or an interruption ends it.

        Raises NoFaceFound when a source ended without ever showing a face.
        """
        interrupted = False
        try:
            for frame in self.reader:
                self._step(frame)
                if not self._shown.running:
                    break
        except KeyboardInterrupt:  # the only way to end without a window
            interrupted = True
        if not (self._seen or interrupted) and self._shown.running:
            raise NoFaceFound(
                f"no face was found in {self._meter.count} frames; give a video in which a "
                "face looks at the camera, an eighth of the picture wide or more"
            )
        return Report(
            self._meter.count, self._changed, self.reader.dropped, self._meter.average,
            tuple(self._used), interrupted,
        )  # fmt: skip

    def _step(self, frame: Frame) -> None:
        faces = self.tracker.follow(frame.pixels, frame.seconds)
        self._seen = self._seen or bool(faces)
        pixels = frame.pixels
        if faces and self._shown.wish:
            pixels = pixels.copy()
            for face in faces:
                crop = cut(frame.pixels, face.matrix, self.changes.size)[None]
                after, before = self.changes.change(crop, self._shown.wish, face.person)
                put_back(pixels, face.matrix, after[0], before[0], self.changes.soft)
            self._changed += 1
        lines = (f"{self._meter.tick():.1f} frames/s", legend(self._shown, self._targets))
        key = self.sink.show(Frame(pixels, frame.seconds), lines)
        self._shown = pressed(key, self._shown, self._targets)
        self._used |= dict.fromkeys(self._shown.wish)


def _rate(count: int, seconds: float) -> float:
    return (count - 1) / seconds if seconds > 0 else 0.0

"""The whole loop over real pictures: what changes, what does not, and how steadily."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from mien.errors import NoFaceFound
from mien.faces._warp import apply
from mien.live.keys import ESCAPE, Targets
from mien.live.loop import Meter, Report, Run
from mien.live.reader import Reader
from mien.live.source import Frame
from mien.live.track import Tracker
from tests.live.videos import moved, noisy, sway

STILL = (320, 220, 1.4, 0)


class Redder:
    """Adds red to a face; remembers what it was given."""

    size, frame, soft = 64, "celeba", False

    def __init__(self) -> None:
        self.given: list[tuple[int, tuple[str, ...]]] = []

    def targets(self, wish: Mapping[str, float]) -> Targets:
        return Targets({"red": 0.4, **wish})

    def change(
        self, face: np.ndarray, wish: Mapping[str, float], person: int
    ) -> tuple[np.ndarray, np.ndarray]:
        self.given.append((person, tuple(wish)))
        after = face.copy()
        after[:, 0] += np.float32(wish["red"])
        return after.clip(-1, 1), face


class Kept:
    """A sink that keeps what it is shown and presses keys."""

    def __init__(self, keys: Mapping[int, int] | None = None) -> None:
        self.frames: list[Frame] = []
        self.lines: list[str] = []
        self.keys = keys or {}

    def show(self, frame: Frame, lines: tuple[str, ...]) -> int:
        self.frames.append(frame)
        self.lines.append(" ".join(lines))
        return self.keys.get(len(self.frames), -1)


class Ticking:
    """A clock by which every look takes a 25th of a second."""

    def __init__(self) -> None:
        self.looks = 0

    def now(self) -> float:
        self.looks += 1
        return self.looks / 25

    def wait(self, seconds: float) -> None:
        raise AssertionError("nothing is to be waited for")


def run(pictures: list[np.ndarray], sink: Kept, changes: Redder | None = None) -> Report:
    frames = [Frame(pixels, number / 30) for number, pixels in enumerate(pictures)]
    with Reader(frames, newest=False) as reader:
        parts = (reader, Tracker(), changes or Redder(), sink, {"red": 0.4})
        return Run(*parts, clock=Ticking())()


def test_the_face_reddens_wherever_it_moves_and_nothing_else(portrait: np.ndarray) -> None:
    pictures = [moved(portrait, where)[0] for where in sway(24)]
    kept, sink = [picture.copy() for picture in pictures], Kept()
    report = run(pictures, sink)
    assert (report.frames, report.changed, report.dropped) == (24, 24, 0)
    assert np.array_equal(pictures, kept)
    tracker = Tracker()
    y, x = np.mgrid[:480, :640] + 0.5
    for number, frame in enumerate(sink.frames):
        before = pictures[number].astype(int)
        change = frame.pixels.astype(int) - before
        (face,) = tracker.follow(pictures[number], number / 30)
        u, v = apply(face.matrix, np.stack([x.ravel(), y.ravel()], 1)).T.reshape(2, 480, 640)
        assert not change[(np.abs(u - 0.5) > 0.5) | (np.abs(v - 0.5) > 0.5)].any()
        middle = (np.abs(u - 0.5) < 0.25) & (np.abs(v - 0.5) < 0.25)
        red = middle & (before[:, :, 0] < 200)  # not where it would pass the brightest
        assert change[red][:, 0].mean() == pytest.approx(0.4 * 127.5, abs=4)
        assert frame.seconds == number / 30


def test_what_is_pasted_rests_where_the_face_rests(portrait: np.ndarray) -> None:
    """The centre of the change trembles by less than a twentieth of a pixel a frame."""
    random, still = np.random.default_rng(2), moved(portrait, STILL)[0]
    pictures = [noisy(still, random) for _ in range(25)]
    sink = Kept()
    run(pictures, sink)
    y, x = np.mgrid[:480, :640]
    centres = []
    for frame, picture in zip(sink.frames, pictures, strict=True):
        change = np.abs(frame.pixels.astype(float) - picture).sum(axis=2)
        centres.append([(change * x).sum() / change.sum(), (change * y).sum() / change.sum()])
    assert np.abs(np.diff(centres, axis=0)).mean() < 0.05


def test_keys_change_the_target_and_end_it(portrait: np.ndarray) -> None:
    still = moved(portrait, STILL)[0]
    sink, changes = Kept({3: ord("1"), 6: ord("1"), 9: ESCAPE}), Redder()
    report = run([still] * 20, sink, changes)
    assert (report.frames, report.changed, report.used) == (9, 6, ("red",))
    assert np.array_equal(sink.frames[4].pixels, still)  # off
    assert not np.array_equal(sink.frames[7].pixels, still)
    assert changes.given == [(1, ("red",))] * 6
    assert sink.lines[3].endswith("1 red")
    assert sink.lines[7].endswith("1 [red]")


def test_the_counter_counts_and_the_average_is_told(portrait: np.ndarray) -> None:
    still = moved(portrait, STILL)[0]
    sink = Kept()
    report = run([still] * 6, sink)
    assert report.rate == pytest.approx(25)
    assert sink.lines[-1].startswith("25.0 frames/s")
    clock = Ticking()
    meter = Meter(clock)
    rates = [meter.tick() for _ in range(60)]
    assert rates[0] == 0
    assert rates[-1] == pytest.approx(25)
    clock.looks += 250  # ten seconds of nothing: the last second counts, not the average
    assert meter.tick() < 1
    assert meter.average == pytest.approx(60 * 25 / 310)


def test_a_video_without_a_face_is_told_and_one_that_loses_it_is_not(portrait: np.ndarray) -> None:
    blank = np.full((480, 640, 3), 90, np.uint8)
    with pytest.raises(NoFaceFound, match="no face was found in 12 frames"):
        run([blank] * 12, Kept())
    assert run([blank] * 12, Kept({4: ord("q")})).frames == 4
    still = moved(portrait, STILL)[0]
    sink = Kept()
    report = run([still] * 3 + [blank] * 5, sink)
    assert (report.frames, report.changed) == (8, 3)
    assert np.array_equal(sink.frames[-1].pixels, blank)


def test_an_interruption_ends_it_with_what_was_done(portrait: np.ndarray) -> None:
    class Impatient(Kept):
        def show(self, frame: Frame, lines: tuple[str, ...]) -> int:
            super().show(frame, lines)
            if len(self.frames) == 3:
                raise KeyboardInterrupt
            return -1

    report = run([moved(portrait, STILL)[0]] * 9, Impatient())
    assert (report.frames, report.interrupted) == (3, True)

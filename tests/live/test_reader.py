"""Frames ahead: all of them in order, or the newest and a count of the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from mien.errors import BadInput
from mien.live.reader import AHEAD, Reader, paced
from mien.live.source import Frame


def frame(number: int) -> Frame:
    return Frame(np.full((2, 2, 3), number, np.uint8), number / 10)


def numbers(frames: object) -> list[int]:
    return [int(f.pixels[0, 0, 0]) for f in frames]  # type: ignore[attr-defined]


def test_every_frame_comes_in_order_and_few_are_kept() -> None:
    made: list[int] = []

    def source() -> Iterator[Frame]:
        for number in range(50):
            made.append(number)
            yield frame(number)

    got = []
    with Reader(source(), newest=False) as reader:
        for each in reader:
            got += numbers([each])
            assert len(made) <= len(got) + AHEAD + 1
    assert got == list(range(50))
    assert reader.dropped == 0


def test_a_slow_reader_gets_the_newest_and_the_others_are_counted() -> None:
    fetched, made = threading.Event(), threading.Event()

    def source() -> Iterator[Frame]:
        yield frame(0)
        fetched.wait()
        yield from map(frame, range(1, 8))
        made.set()

    with Reader(source(), newest=True) as reader:
        frames = iter(reader)
        first = next(frames)
        fetched.set()
        made.wait()
        rest = list(frames)
    assert numbers([first, *rest]) == [0, 7]
    assert reader.dropped == 6


def test_an_error_comes_after_the_frames_before_it() -> None:
    def source() -> Iterator[Frame]:
        yield frame(0)
        raise BadInput("the cable is out")

    got = []
    with Reader(source(), newest=False) as reader, pytest.raises(BadInput, match="cable"):
        got.extend(reader)
    assert numbers(got) == [0]


@pytest.mark.parametrize("newest", [True, False])
def test_leaving_early_ends_the_thread(newest: bool) -> None:
    def source() -> Iterator[Frame]:
        number = 0
        while True:
            yield frame(number % 200)
            number += 1

    with Reader(source(), newest) as reader:
        next(iter(reader))
    assert "frames" not in [thread.name for thread in threading.enumerate()]


class Fake:
    """A clock that stands still but for what is waited."""

    def __init__(self) -> None:
        self.time, self.waits = 100.0, []  # type: ignore[var-annotated]

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds


def test_paced_frames_come_at_their_time() -> None:
    clock = Fake()
    times = []
    for each in paced(map(frame, range(5)), clock):
        times.append(clock.time)
        if each.seconds == 0.2:
            clock.time += 0.15  # this one took long: the next is late, the one after is not
    assert times == pytest.approx([100, 100.1, 100.2, 100.35, 100.4])
    assert clock.waits == pytest.approx([0.1, 0.1, 0.05])

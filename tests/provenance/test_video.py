"""A video that grows frame by frame: times, sizes, and its note."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.errors import BadInput
from mien.provenance.mark import read_note
from mien.provenance.video import VideoOptions, open_video
from tests.provenance.test_mark import NOTE

av = pytest.importorskip("av")


def frame(level: int, height: int = 31, width: int = 45) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def test_frames_keep_their_times_and_the_note_is_the_last(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    times = [0.0, 0.04, 0.5, 0.5, 0.51]  # a stream drops frames, and repeats a time
    with open_video(path, NOTE, VideoOptions(rate=25, preset="ultrafast")) as video:
        for number, seconds in enumerate(times):
            video.add(frame(40 * number), seconds)
        video.note = NOTE | {"used": ["Smiling"]}
    with av.open(str(path)) as container:
        shown = [(p.time, p.to_ndarray(format="rgb24")) for p in container.decode(video=0)]
    assert [seconds for seconds, _ in shown] == pytest.approx(times, abs=1e-3)
    assert [int(pixels[5, 5, 0]) for _, pixels in shown] == pytest.approx(
        [0, 40, 80, 120, 160], abs=3
    )
    assert read_note(path) == NOTE | {"used": ["Smiling"]}


def test_colours_of_a_large_video_are_read_as_they_were_written(tmp_path: Path) -> None:
    colour = frame(0, 720, 1280) + np.array([200, 40, 60], np.uint8)  # players guess BT.709
    with open_video(tmp_path / "a.mp4", NOTE, VideoOptions(preset="ultrafast")) as video:
        video.add(colour, 0)
    with av.open(str(tmp_path / "a.mp4")) as container:
        (shown,) = container.decode(video=0)
        assert shown.colorspace == 6  # said, not left to guesses
        assert np.abs(shown.to_ndarray(format="rgb24").astype(int) - colour).max() <= 4


def test_what_cannot_be_a_video_leaves_nothing(tmp_path: Path) -> None:
    def fill(*frames: np.ndarray) -> None:
        with open_video(tmp_path / "a.mp4", NOTE) as video:
            for number, pixels in enumerate(frames):
                video.add(pixels, number)

    with pytest.raises(BadInput, match="frame of the video has shape"):
        fill(frame(1), frame(1, 30))
    with pytest.raises(BadInput, match="at least one frame"):
        fill()
    assert not list(tmp_path.iterdir())

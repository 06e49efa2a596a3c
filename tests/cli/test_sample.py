from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.faces.cache import to_bytes
from mien.generators import open_space
from mien.provenance.mark import read_note
from mien.search.gallery import Gallery
from tests.cli.conftest import Mien


def tiles(name: str) -> np.ndarray:
    """uint8 [rows, columns, 128, 128, 3] of a written grid."""
    pixels = np.asarray(Image.open(name))
    rows, columns = pixels.shape[0] // 128, pixels.shape[1] // 128
    return pixels.reshape(rows, 128, columns, 128, 3).transpose(0, 2, 1, 3, 4)


def decoded(toys: Path, values: np.ndarray) -> np.ndarray:
    space = open_space(toys / "vae-128")
    return to_bytes(space.decode(space.sample(len(values)).with_values(values)))


def close(got: np.ndarray, want: np.ndarray) -> None:
    assert np.abs(got.astype(int) - want).max() <= 1


def test_samples_fill_a_grid_in_order(mien: Mien, toys: Path) -> None:
    result = mien("sample", "-n", "5", "--seed", "3", "--truncation", "0.5", "-o", "grid.png")
    assert result.exit_code == 0, result.output
    values = open_space(toys / "vae-128").sample(5, seed=3).values * 0.5  # the toy's mean is 0
    got = tiles("grid.png").reshape(6, 128, 128, 3)
    close(got[:5], decoded(toys, values))
    assert not got[5].any()
    assert read_note(Path("grid.png"))["sample"] == {
        "space": "vae-128", "count": 5, "seed": 3, "truncation": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize("way", ["linear", "spherical"])
def test_the_way_between_two_seeds(mien: Mien, toys: Path, way: str) -> None:
    result = mien("interpolate", "4", "9:2", "--steps", "5", "--way", way, "-o", "way.png")
    assert result.exit_code == 0, result.output
    space = open_space(toys / "vae-128")
    first, second = space.sample(1, 4).values[0], space.sample(3, 9).values[2]
    got = tiles("way.png")[0]
    assert len(got) == 5
    ends = decoded(toys, np.stack([first, second]))
    close(got[[0, -1]], ends)
    if way == "linear":
        close(got[2], decoded(toys, (first + second)[None] / 2)[0])


def test_a_photo_and_a_seed(mien: Mien, astronaut: Path) -> None:
    assert mien("interpolate", astronaut, "0", "--steps", "3", "-o", "way.png").exit_code == 0
    assert tiles("way.png").shape[:2] == (1, 3)
    assert mien("interpolate", "1", "0", "-o", "way.gif").exit_code == 0
    with Image.open("way.gif") as image:
        assert image.n_frames == 2 * 24 - 2
    for name, wanted in (("way.png", b"composite"), ("way.gif", b"trainedAlgorithmicMedia")):
        assert wanted in Path(name).read_bytes()
    assert b"composite" not in Path("way.gif").read_bytes()


def test_three_pairings_from_a_gallery(mien: Mien, toys: Path) -> None:
    result = mien("interpolate", "--pairs", toys / "gallery", "--steps", "4", "-o", "pairs.png")
    assert result.exit_code == 0, result.output
    names = read_note(Path("pairs.png"))["interpolate"]["pairs"]
    assert [name.partition(",")[0] for name in names] == [
        "the same gender", "the same gender", "across gender",
    ]  # fmt: skip
    got = tiles("pairs.png")
    assert got.shape[:2] == (3, 4)
    gallery = Gallery.open(toys / "gallery")
    smiles, values = gallery.attributes.column("Smiling"), gallery.latent.values
    shown = {sign: decoded(toys, values[smiles == sign]) for sign in (-1, 1)}

    def is_one_of(face: np.ndarray, sign: int) -> bool:
        return bool((np.abs(shown[sign].astype(int) - face).max(axis=(1, 2, 3)) <= 1).any())

    for row, signs in zip(got, ((-1, -1), (-1, 1), (-1, 1)), strict=True):
        assert is_one_of(row[0], signs[0])
        assert is_one_of(row[-1], signs[1])


def test_three_pairings_from_celeba(mien: Mien, celeba_root: Path) -> None:
    options = ("--pairs", celeba_root, "--attribute", "Eyeglasses", "--steps", "3")
    result = mien("interpolate", *options, "-o", "pairs.png")
    assert result.exit_code == 0, result.output
    assert tiles("pairs.png").shape[:2] == (3, 3)


BAD = {
    "one face": (["0"], "give two faces"),
    "faces and pairs": (["0", "1", "--pairs", "."], "not both"),
    "no gallery": (["--pairs", "missing"], "missing"),
    "no such way": (["0", "1", "--way", "speherical"], "did you mean spherical"),
    "no such photo": (["0", "missing.jpg"], "missing.jpg"),
    "no such space": (["0", "1", "--space", "vae-1"], "did you mean vae-128"),
    "a seed without end": (["0", "9" * 5000], "a seed is a number"),
    "a face without end": (["3", "1:9999999999999"], "numbers below 1000"),
    "no truncation": (["3", "4", "--truncation", "nan"], "--truncation nan: give a number from"),
    "another format": (["0", "1", "-o", "a.txt"], ".gif"),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses(case: str, refused: Callable[..., str]) -> None:
    arguments, words = BAD[case]
    assert words in refused("interpolate", *arguments)
    assert list(Path().iterdir()) == []


def test_pairs_need_known_attributes(refused: Callable[..., str], toys: Path) -> None:
    pairs = ("interpolate", "--pairs", toys / "gallery")
    assert "did you mean Smiling" in refused(*pairs, "--attribute", "Smile")
    assert "name another" in refused(*pairs, "--attribute", "Male")
    assert "-o" in refused("sample", "-o", "a.gif")


def test_a_photo_is_not_overwritten_by_its_own_way(
    refused: Callable[..., str], astronaut: Path
) -> None:
    before = astronaut.read_bytes()
    Path("me.png").write_bytes(before)
    for ends in (("me.png", "4"), ("4", "me.png")):
        sentence = refused("interpolate", *ends, "--steps", 2, "-o", "me.png")
        assert "this is the photo itself" in sentence
    assert Path("me.png").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("sample", "-n", 10**12), "--count"),
        (("sample", "-n", 10**23), "--count"),
        (("sample", "--seed", 10**23), "--seed"),
        (("interpolate", 3, 4, "--steps", 10**11), "--steps"),
        (("edit", "--move", "Smiling=1", "-n", 10**11), "--count"),
    ],
)
def test_numbers_have_bounds(mien: Mien, arguments: tuple[object, ...], told: str) -> None:
    result = mien(*arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Invalid value" in result.stderr
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("command", [("sample",), ("edit", "--move", "Smiling=1")])
@pytest.mark.parametrize("truncation", ["nan", "inf", "1e30"])
def test_a_truncation_is_a_number_of_use(
    refused: Callable[..., str], command: tuple[str, ...], truncation: str
) -> None:
    sentence = refused(*command, "--truncation", truncation)
    assert "give a number from -100 to 100" in sentence
    assert list(Path().iterdir()) == []

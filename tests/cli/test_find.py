from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.faces.celeba import NAMES
from mien.provenance.mark import read_note
from tests.cli.conftest import FACES, Mien


def _found(mien: Mien, *arguments: object) -> dict[str, object]:
    result = mien("find", *arguments, "--json")
    assert result.exit_code == 0, result.output
    document: dict[str, object] = json.loads(result.stdout)
    return document


def test_json_is_what_programs_were_promised(mien: Mien, astronaut: Path) -> None:
    asked = ("--adjust", "Smiling=1", "--prefer", "Eyeglasses=3", "-k", "4")
    found = _found(mien, astronaut, *asked)
    assert set(found) == {"query", "hits"}
    assert found["query"]["adjust"] == {"Smiling": 1.0}
    assert found["query"]["prefer"] == {"Smiling": 30.0, "Eyeglasses": 3.0}
    assert len(found["hits"]) == 4
    for hit in found["hits"]:
        assert set(hit) == {"id", "path", "distance", "attributes", "rest"}
        assert set(hit["attributes"]) == set(NAMES)
        assert sum(hit["attributes"].values()) + hit["rest"] == pytest.approx(hit["distance"])
    distances = [hit["distance"] for hit in found["hits"]]
    assert distances == sorted(distances)


def test_a_weight_of_zero_takes_an_attribute_out(mien: Mien, astronaut: Path) -> None:
    found = _found(mien, astronaut, "--prefer", "Smiling=0", "-k", FACES)
    assert {hit["attributes"]["Smiling"] for hit in found["hits"]} == {0.0}


def test_all_faces_can_be_asked_for(mien: Mien, astronaut: Path) -> None:
    found = _found(mien, astronaut, "-k", FACES)
    assert len({hit["id"] for hit in found["hits"]}) == FACES


def test_table_lists_the_hits_in_order(mien: Mien, astronaut: Path) -> None:
    ids = [hit["id"] for hit in _found(mien, astronaut, "-k", "3")["hits"]]
    result = mien("find", astronaut, "-k", "3")
    places = [result.stdout.index(name) for name in ids]
    assert places == sorted(places)
    assert "rest of the face" in result.stdout


def test_sheet_is_a_marked_picture(mien: Mien, astronaut: Path) -> None:
    result = mien("find", astronaut, "-k", "3", "--adjust", "Smiling=1", "--sheet", "hits.png")
    assert result.exit_code == 0, result.output
    assert Image.open("hits.png").width > 4 * 128
    assert read_note(Path("hits.png"))["find"]["adjust"] == {"Smiling": 1.0}


def test_finds_the_photo_itself_first(mien: Mien, astronaut: Path) -> None:
    for number in range(3):
        picture = np.roll(np.asarray(Image.open(astronaut)), 40 * number, axis=(0, 1))
        Image.fromarray(picture).save(f"{number}.png")
    assert mien("gallery", "build", "gallery", ".", "--aligned").exit_code == 0
    for number in range(3):
        found = _found(mien, f"{number}.png", "--aligned", "--gallery", "gallery", "-k", "1")
        assert found["hits"][0]["id"] == f"{number}.png"
        assert found["hits"][0]["distance"] == pytest.approx(0, abs=1e-6)


BAD = {
    "word": (["--adjust", "Smiling=abc"], ["--adjust", "'abc'"]),
    "adjust above one": (["--adjust", "Smiling=2"], ["--adjust", "[0, 1]"]),
    "misspelt": (["--adjust", "Smilin=1"], ["--adjust", "did you mean Smiling"]),
    "misspelt preference": (["--prefer", "Glasses=1"], ["--prefer", "Eyeglasses"]),
    "negative preference": (["--prefer", "Smiling=-1"], ["--prefer", "0 or more"]),
    "preference nan": (["--prefer", "Smiling=nan"], ["--prefer", "nan"]),
    "k too large": (["-k", "31"], ["k=31", "30 faces"]),
    "k zero": (["-k", "0"], ["k=0"]),
    "no gallery": (["--gallery", "missing"], ["missing"]),
    "no such folder": (["--sheet", "no/hits.png"], ["--sheet", "does not exist"]),
    "the photo": (["--sheet", "photo.png"], ["--sheet", "the photo itself"]),
    "semantics": (["--semantics", "sett"], ["did you mean set"]),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses(case: str, refused: Callable[..., str], astronaut: Path) -> None:
    Image.open(astronaut).save("photo.png")
    arguments, words = BAD[case]
    sentence = refused("find", "photo.png", *arguments)
    for word in words:
        assert word in sentence


def test_refuses_a_gallery_of_another_space(
    refused: Callable[..., str], mien: Mien, astronaut: Path, other_space: Path
) -> None:
    sampled = mien("gallery", "sample", "gallery", "--count", "2", "--space", other_space)
    assert sampled.exit_code == 0, sampled.output
    sentence = refused("find", astronaut, "--gallery", "gallery", "-k", "1")
    assert "other@" in sentence
    assert "vae-128@" in sentence

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.faces.celeba import NAMES
from tests.cli.conftest import Mien


def test_json_holds_a_probability_for_every_attribute(mien: Mien, astronaut: Path) -> None:
    result = mien("attributes", astronaut, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert set(document) == {"attributes"}
    assert list(document["attributes"]) == list(NAMES)
    assert all(0 <= value <= 1 for value in document["attributes"].values())


def test_json_is_what_the_recogniser_says(mien: Mien, toys: Path, astronaut: Path) -> None:
    from mien.faces.portrait import open_portrait
    from mien.recognise.recogniser import open_recogniser

    face = open_portrait(astronaut, 128).face
    expected = open_recogniser(toys / "judge").probabilities(face.pixels[None])[0]
    result = mien("attributes", astronaut, "--json", "--recogniser", "judge")
    printed = list(json.loads(result.stdout)["attributes"].values())
    assert printed == pytest.approx(expected.tolist(), abs=2e-6)


def test_table_has_the_likeliest_first(mien: Mien, astronaut: Path) -> None:
    known = json.loads(mien("attributes", astronaut, "--json").stdout)["attributes"]
    likeliest, unlikeliest = max(known, key=known.get), min(known, key=known.get)
    table = mien("attributes", astronaut).stdout
    assert table.index(likeliest) < table.index(unlikeliest)


def test_refuses_a_misspelt_recogniser(refused: Callable[..., str], astronaut: Path) -> None:
    assert "did you mean recogniser" in refused(
        "attributes", astronaut, "--recogniser", "recognizer"
    )

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Mien


def test_lists_what_is_embedded(mien: Mien) -> None:
    listed = json.loads(mien("models", "list", "--json").stdout)["models"]
    kinds = {model["name"]: model["kind"] for model in listed}
    assert kinds == {
        "judge": "recogniser", "recogniser": "recogniser", "vae-128": "space",
        "vae-128-basis": "directions", "vae-128-directions": "directions",
    }  # fmt: skip
    table = mien("models", "list").stdout
    assert all(name in table for name in kinds)


def test_info_prints_the_card(mien: Mien, toys: Path) -> None:
    printed = json.loads(mien("models", "info", "vae-128").stdout)
    assert printed == json.loads((toys / "vae-128" / "card.json").read_text())


def test_refuses(refused: Callable[..., str]) -> None:
    assert "did you mean vae-128" in refused("models", "info", "vae128")
    Path("broken").mkdir()
    Path("broken/card.json").write_text("{")
    assert "broken/card.json" in refused("models", "info", "broken")

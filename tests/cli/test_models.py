from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mien.checkpoint import load_card
from mien.published import catalogue, pull
from tests.cli.conftest import LATENT, Mien


def test_lists_what_is_embedded_and_what_is_published(mien: Mien) -> None:
    listed = json.loads(mien("models", "list", "--json").stdout)
    kinds = {model["name"]: model["kind"] for model in listed["models"]}
    assert kinds == {
        "judge": "recogniser", "recogniser": "recogniser", "vae-128": "space",
        "vae-128-basis": "directions", "vae-128-directions": "directions",
    }  # fmt: skip
    published = {model["name"]: model["kind"] for model in listed["published"]}
    assert published["e4e-ffhq"] == "e4e"
    table = mien("models", "list").stdout
    assert all(name in table for name in (*kinds, *published))


def test_info_prints_the_card(mien: Mien, toys: Path) -> None:
    printed = json.loads(mien("models", "info", "vae-128").stdout)
    assert printed == json.loads((toys / "vae-128" / "card.json").read_text())


def test_info_tells_what_is_known_of_a_published_model(mien: Mien) -> None:
    printed = json.loads(mien("models", "info", "stylegan2-ffhq-config-f").stdout)
    assert printed["kind"] == "nvidia-tf"
    assert printed["licence"].startswith("NVIDIA Source Code License (non-commercial)")


def test_refuses(refused: Callable[..., str]) -> None:
    assert "did you mean vae-128" in refused("models", "info", "vae128")
    assert "did you mean stargan-celeba" in refused("models", "info", "stargan_celeba")
    Path("broken").mkdir()
    Path("broken/card.json").write_text("{")
    assert "broken/card.json" in refused("models", "info", "broken")
    assert "has no direct address" in refused("models", "pull", "psp-ffhq")
    Path("evil.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert "evil.pkl wants to call os.system" in refused("models", "import", "evil.pkl", "-o", "x")
    assert not Path("x").exists()


def test_pull_says_when_nothing_was_compared(mien: Mien, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(order: pull.Order, progress: Callable[[int, int, str], None]) -> pull.Pulled:
        asked.append(order)
        progress(5 << 20, 9 << 20, "")
        return pull.Pulled(order.path, "ab" * 32, bool(order.sha256))

    monkeypatch.setattr(pull, "pull", fetch)
    entry = catalogue.find_entry("stylegan2-ada-metfaces")
    result = mien("models", "pull", entry.name)
    assert (asked[0].url, asked[0].path) == (entry.url, Path("metfaces.pkl"))
    assert result.stdout == "metfaces.pkl\n"
    assert f"no checksum is known; its sha256 is {'ab' * 32}" in result.stderr
    assert "checksum" not in mien("models", "pull", "stylegan2-ada-ffhq", "-o", "x.pkl").stderr
    assert asked[1].path == Path("x.pkl")


def _stylegan2(path: Path) -> None:
    import torch

    from mien.generators.stylegan2 import Architecture, Generator
    from mien.published import rosinality

    torch.manual_seed(0)
    shape = Architecture(size=8, latent=6, layers=2, base=32, most=8)
    ours = {key: value.numpy() for key, value in Generator(shape).state_dict().items()}
    theirs = rosinality.generator_from_ours(ours, shape)
    torch.save({"g_ema": {key: torch.from_numpy(v) for key, v in theirs.items()}}, path)


def test_imports_and_exports_a_generator(mien: Mien, refused: Callable[..., str]) -> None:
    _stylegan2(Path("550000.pt"))
    result = mien("models", "import", "550000.pt", "-o", "face", "--licence", "MIT")
    assert result.stdout == "face: face, stylegan2 from rosinality\n"
    card = load_card(Path("face"))
    assert card["licence"] == "MIT"
    digest = hashlib.sha256(Path("550000.pt").read_bytes()).hexdigest()
    assert card["source"] == {"format": "rosinality", "file": "550000.pt", "sha256": digest}
    assert "holds a model already" in refused("models", "import", "550000.pt", "-o", "face")
    for layout in ("rosinality", "nvidia", "genforce"):
        mien("models", "export", "face", "-o", f"{layout}.pt", "--layout", layout)
        result = mien("models", "import", f"{layout}.pt", "-o", f"from-{layout}")
        assert layout in result.stdout
    assert "did you mean nvidia" in refused(
        "models", "export", "face", "-o", "a.pt", "--layout", "nvida"
    )


def test_imports_directions_of_a_model(mien: Mien, refused: Callable[..., str]) -> None:
    np.save("smile_boundary.npy", np.eye(1, LATENT))
    asked = ("models", "import", "smile_boundary.npy", "-o", "smile")
    assert "does not say of what" in refused(*asked)
    assert "cannot move z" in refused(*asked, "--for", "vae-128", "--in", "w")
    result = mien(*asked, "--for", "vae-128", "--in", "z", "--name", "Smiling")
    assert "smile: 1 directions in z of vae-128@" in result.stdout
    assert load_card(Path("smile"))["attributes"] == ["Smiling"]
    assert "holds a model already" in refused(*asked, "--for", "vae-128", "--in", "z")

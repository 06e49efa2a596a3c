"""A command line over toy models: untrained, small, in place of the embedded ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from mien import checkpoint
from mien.faces.celeba import NAMES

Mien = Callable[..., Result]
LATENT, FACES = 64, 30


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An assets folder with vae-128, its directions and basis, both recognisers, a gallery."""
    root = tmp_path_factory.mktemp("assets")
    vae(root / "vae-128", seed=0)
    for seed, name in enumerate(("recogniser", "judge")):
        _recogniser(root / name, seed)
    _directions(root)
    _gallery(root)
    return root


@pytest.fixture
def mien(toys: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mien:
    """Run `mien ARGUMENTS...` over the toys, in an empty working folder."""
    monkeypatch.setattr(checkpoint, "assets", lambda: toys)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Result:
        from mien.cli.app import app

        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


def translator(root: Path, size: int, parts: Sequence[Mapping[str, Any]]) -> Path:
    """A StarGAN's model folder `root/toy`, never trained; parts as in cards."""
    import torch

    from mien.generators._labels import parts_of
    from mien.generators.stargan import Architecture, Generator

    torch.manual_seed(0)
    shape = Architecture(size=size, width=4, depth=1, labels=parts_of(parts).width)
    tensors = {key: value.numpy() for key, value in Generator(shape).state_dict().items()}
    card = {
        "name": "toy", "kind": "translator", "architecture": "stargan", "parts": list(parts),
        "options": asdict(shape), "input": {"size": size, "frame": "celeba", "range": [-1, 1]},
    }  # fmt: skip
    checkpoint.save_model(root / "toy", tensors, card)
    return root / "toy"


@pytest.fixture
def refused(mien: Mien) -> Callable[..., str]:
    """Run `mien ARGUMENTS...`, which must refuse; the one sentence it says."""

    def run(*arguments: object) -> str:
        result = mien(*arguments)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        lines = result.stderr.strip().splitlines()
        assert len(lines) == 1, result.stderr
        assert lines[0].startswith("mien: ")
        return lines[0]

    return run


@pytest.fixture
def other_space(tmp_path: Path) -> Path:
    """A space with other weights than the embedded one's toy."""
    vae(tmp_path / "other", seed=5)
    return tmp_path / "other"


def vae(folder: Path, seed: int) -> None:
    """A VAE's model folder, 128 px, never trained."""
    import torch

    from mien.generators.vae import Architecture, Network

    torch.manual_seed(seed)
    shape = Architecture(size=128, latent=LATENT - 1, inner=1, widths=(4, 4, 4, 4, 4))
    tensors = {key: value.numpy() for key, value in Network(shape).state_dict().items()}
    tensors["encoder.head.weight"] *= 10  # untrained weights hardly react to anything
    tensors["decoder.stem.weight"] *= 200
    tensors["prior.mean"] = np.zeros(LATENT, np.float32)
    tensors["prior.factor"] = np.eye(LATENT, dtype=np.float32)
    card = _card(folder.name, "space", "vae") | {"space": "z", "options": asdict(shape)}
    checkpoint.save_model(folder, tensors, card)


def _recogniser(folder: Path, seed: int) -> None:
    import torch

    from mien.recognise import mobilenet_v2
    from mien.recognise.recogniser import Network

    torch.manual_seed(seed)
    network = Network(mobilenet_v2.Trunk(), len(NAMES))
    tensors = {key: value.numpy() for key, value in network.state_dict().items()}
    tensors["calibration.scale"] = np.ones(len(NAMES), np.float32)
    tensors["calibration.shift"] = np.linspace(-2, 2, len(NAMES), dtype=np.float32)
    card = _card(folder.name, "recogniser", "mobilenet_v2") | {"attributes": list(NAMES)}
    checkpoint.save_model(folder, tensors, card)


def _directions(root: Path) -> None:
    from mien.directions import save_directions
    from mien.types import Directions

    random = np.random.default_rng(0)
    vectors, _ = np.linalg.qr(random.standard_normal((LATENT, len(NAMES))))
    ones = np.ones(len(NAMES), np.float32)
    found = Directions(
        names=NAMES, vectors=vectors.astype(np.float32), bias=0 * ones, low=-ones, high=ones,
        unit=2 * ones, space="z", model=checkpoint.mark(checkpoint.load_card(root / "vae-128")),
        orthonormal=True, provenance={"method": "toy"},
    )  # fmt: skip
    for name in ("vae-128-directions", "vae-128-basis"):
        save_directions(root / name, found)


def _gallery(root: Path) -> None:
    from mien.generators import open_space
    from mien.search.gallery import Entries, Gallery
    from mien.search.thumbnail import to_thumbnail
    from mien.types import Attributes

    space = open_space(root / "vae-128")
    latent = space.sample(FACES)
    labels = np.random.default_rng(0).choice((-1, 1), (FACES, len(NAMES))).astype(np.int8)
    ids = tuple(f"face-{number:02d}" for number in range(FACES))
    pictures = tuple(to_thumbnail(face) for face in space.decode(latent))
    gallery = Gallery.create(root / "gallery", latent.model, latent.space, (LATENT,))
    gallery.add(Entries(ids, ("",) * FACES, latent, Attributes(NAMES, labels), pictures))


def _card(name: str, kind: str, architecture: str) -> dict[str, object]:
    frame = {"size": 128, "frame": "celeba", "range": [-1, 1]}
    return {
        "name": name, "kind": kind, "architecture": architecture, "input": frame,
        "licence": "toy",
    }  # fmt: skip

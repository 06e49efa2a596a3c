"""`mien invert` over a toy StyleGAN2 and its toy encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mien.checkpoint import load_card, mark, own_mark, save_model
from mien.encoders import e4e
from mien.errors import BadModel
from mien.generators import open_space
from mien.generators.stylegan2 import Architecture, Generator
from mien.provenance.mark import read_note
from mien.recognise.ir_se import TrunkShape
from mien.types import Latent
from tests.cli.conftest import Mien

SHAPE = Architecture(size=64, latent=32, layers=2, base=256, most=16)
SIZES = e4e.Architecture(64, 10, 32, TrunkShape((4, 4, 6, 8, 10), (1, 1, 1, 1)))


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = Generator(SHAPE)
    network.estimate_average()
    card = {
        "name": "toy", "kind": "space", "architecture": "stylegan2", "space": "w+",
        "options": asdict(SHAPE), "latent": [10, 32], "licence": "toy",
        "input": {"size": 64, "range": [-1, 1], "frame": "celeba"},
    }  # fmt: skip
    save_model(tmp_path / "toy", {k: v.numpy() for k, v in network.state_dict().items()}, card)
    return tmp_path / "toy"


@pytest.fixture
def encoder(tmp_path: Path, generator: Path) -> Path:
    torch.manual_seed(1)
    tensors = {k: v.numpy() for k, v in e4e.Encoder(SIZES).state_dict().items()}
    card = {
        "name": "reader", "kind": "encoder", "architecture": "e4e", "form": "styles",
        "centred": True, "stage": 9, "options": asdict(SIZES), "generator": str(generator),
        "generator_mark": mark(load_card(generator)),
    }  # fmt: skip
    save_model(tmp_path / "reader", tensors, card)
    return tmp_path / "reader"


def saved(path: str, model: str) -> Latent:
    with np.load(path) as found:
        assert (str(found["space"]), str(found["model"])) == ("w+", model)
        return Latent(found["values"], "w+", model)


@pytest.mark.parametrize(
    ("method", "steps"), [("e4e", ()), ("hybrid", ("--steps", 2)), ("optimise", ("--steps", 2))]
)
def test_the_picture_shows_what_the_latent_decodes_to(
    mien: Mien, encoder: Path, astronaut: Path, method: str, steps: tuple[object, ...]
) -> None:
    options = ("--space", encoder, "--method", method, "-o", "found.png", *steps)
    result = mien("invert", astronaut, *options)
    assert result.exit_code == 0, result.output
    space = open_space(encoder)
    latent = saved("found.npz", space.mark)
    pixels = np.asarray(Image.open("found.png")).astype(float)
    assert pixels.shape == (64, 128, 3)
    wanted = (space.decode(latent)[0].transpose(1, 2, 0) + 1) * 127.5
    assert np.abs(pixels[:, 64:] - wanted).max() <= 1
    assert read_note(Path("found.png"))["method"] == method


def test_noise_maps_are_kept_beside_the_latent(
    mien: Mien, generator: Path, astronaut: Path
) -> None:
    options = ("--method", "optimise", "--steps", 2, "--option", "noise=1e5")
    result = mien("invert", astronaut, "--space", generator, *options)
    assert result.exit_code == 0, result.output
    with np.load("astronaut-inverted.npz") as found:
        assert sum(key.startswith("noise_") for key in found) == 9


def test_what_cannot_be_inverted_is_said(
    refused: Callable[..., str], generator: Path, encoder: Path, astronaut: Path
) -> None:
    assert "restyle" in refused("invert", astronaut, "--method", "restyle")
    said = refused("invert", astronaut, "--space", generator, "--method", "e4e")
    assert "cannot read a photo by itself" in said
    said = refused("invert", astronaut, "--space", encoder, "--method", "psp")
    assert "ask for --method e4e" in said
    said = refused("invert", astronaut, "--space", encoder, "--method", "e4e", "--steps", 5)
    assert "belong to a descent" in said
    assert "StyleGAN2" in refused("invert", astronaut, "--space", "vae-128", "--method", "optimise")
    assert not list(Path().glob("*.np*"))


def test_an_encoder_serves_its_own_generator_only(encoder: Path, generator: Path) -> None:
    tensors = Generator(replace(SHAPE, layers=1)).state_dict()
    card = load_card(generator) | {"options": asdict(replace(SHAPE, layers=1))}
    save_model(generator, {k: v.numpy() for k, v in tensors.items()}, card)
    with pytest.raises(BadModel, match="train the encoder again"):
        open_space(encoder)


def test_photos_are_edited_in_an_encoders_space(mien: Mien, encoder: Path, astronaut: Path) -> None:
    options = ("--method", "sefa", "--component", 1, "--layers", "0-3", "-o", "edited.png")
    result = mien("edit", astronaut, "--space", encoder, *options)
    assert result.exit_code == 0, result.output
    assert Image.open("edited.png").size == Image.open(astronaut).size


def test_tuning_adds_a_face_and_a_folder_that_draws_it(
    mien: Mien, encoder: Path, astronaut: Path
) -> None:
    options = ("--space", encoder, "--method", "e4e", "--tune", 2, "--locality", 0.1)
    result = mien("invert", astronaut, *options, "-o", "found.png")
    assert result.exit_code == 0, result.output
    assert "tuned: mean squared error" in result.output
    space, tuned = open_space(encoder), open_space("found-tuned")
    latent = saved("found.npz", space.mark)
    pixels = np.asarray(Image.open("found.png")).astype(float)
    assert pixels.shape == (64, 3 * 64, 3)
    for place, drawer in ((64, space), (128, tuned)):
        wanted = (drawer.decode(latent)[0].transpose(1, 2, 0) + 1) * 127.5
        assert np.abs(pixels[:, place : place + 64] - wanted).max() <= 1
    card, note = load_card(Path("found-tuned")), read_note(Path("found.png"))
    assert note["weights"] == own_mark(card) != note["model"] == mark(card) == space.mark
    assert note["tuned"] == {key: card["tuned"][key] for key in ("pivot", "options")}
    assert (note["tuned"]["pivot"], note["tuned"]["options"]["locality"]) == ("e4e", 0.1)


def test_a_tuned_folder_reads_photos_by_the_encoder_it_was_given(
    mien: Mien, encoder: Path, astronaut: Path
) -> None:
    given = ("--space", encoder, "--method", "e4e", "--tune", 1, "-o", "me.png")
    assert mien("invert", astronaut, *given).exit_code == 0
    faces = open_space(encoder).decode(open_space(encoder).sample(1))
    codes = [open_space(x).encode(faces).values for x in (encoder, "me-tuned")]
    np.testing.assert_array_equal(codes[0], codes[1])
    sefa = ("--method", "sefa", "--component", 1, "--layers", "0-3", "-o", "edited.png")
    result = mien("edit", astronaut, "--space", "me-tuned", *sefa)
    assert result.exit_code == 0, result.output
    assert read_note(Path("edited.png"))["weights"] == own_mark(load_card(Path("me-tuned")))
    result = mien("invert", astronaut, "--space", "me-tuned", "--method", "e4e", "-o", "two.png")
    assert result.exit_code == 0, result.output
    saved("two.npz", mark(load_card(Path(encoder.parent / "toy"))))


def test_tuning_that_cannot_be_is_refused_at_once(
    mien: Mien, refused: Callable[..., str], generator: Path, astronaut: Path
) -> None:
    start = ("invert", astronaut, "--space", generator, "--steps", 1)
    assert "--tune STEPS" in refused(*start, "--locality", 0.1)
    assert "noise maps" in refused(*start, "--tune", 1, "--option", "noise=1e5")
    vae = ("invert", astronaut, "--space", "vae-128", "--method", "e4e", "--tune", 1)
    assert "StyleGAN2" in refused(*vae)
    assert not list(Path().glob("*.np*"))
    assert mien(*start, "--tune", 1).exit_code == 0
    assert not (Path("astronaut-inverted-tuned") / "encoder").exists()
    assert "choose another -o" in refused(*start, "--tune", 1)


def test_only_a_latent_is_replaced_beside_the_picture(
    mien: Mien, refused: Callable[..., str], encoder: Path, astronaut: Path
) -> None:
    asked = ("invert", astronaut, "--space", encoder, "--method", "e4e", "-o", "side.png")
    np.savez("side.npz", table=np.arange(3))
    before = Path("side.npz").read_bytes()
    assert "side.npz, for the latent, exists and holds no latent" in refused(*asked)
    assert Path("side.npz").read_bytes() == before
    Path("side.npz").write_text("no archive")
    assert "choose another -o" in refused(*asked)
    assert not Path("side.png").exists()
    Path("side.npz").unlink()
    for _ in range(2):
        result = mien(*asked)
        assert result.exit_code == 0, result.output

"""Tuning a small generator with random weights to a picture that it cannot draw."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.checkpoint import mark, own_mark, save_model
from mien.directions import edit, sefa
from mien.directions.contract import unlabelled
from mien.encoders.pivotal import Options, save_tuned, tune
from mien.errors import BadInput, SpaceMismatch
from mien.generators import open_space
from mien.generators.stylegan2 import Architecture, Generator
from mien.types import Latent

SHAPE = Architecture(size=32, latent=16, layers=2, base=128, most=16)
TUNING = Options(steps=15, rate=5e-3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    network = Generator(SHAPE)
    network.estimate_average()
    with torch.no_grad():  # random weights draw far beyond [-1, 1]
        for colour in network.synthesis.colours:
            colour.conv.weight.mul_(0.3)
    card = {
        "name": "toy", "kind": "space", "architecture": "stylegan2", "space": "w+",
        "options": vars(SHAPE), "latent": [SHAPE.styles, SHAPE.latent], "licence": "toy",
        "input": {"size": 32, "range": [-1, 1], "frame": "none"},
    }  # fmt: skip
    place = tmp_path_factory.mktemp("models") / "toy"
    save_model(place, {k: v.numpy() for k, v in network.state_dict().items()}, card)
    return place


@pytest.fixture(scope="module")
def space(folder):
    return open_space(folder)


@pytest.fixture(scope="module")
def pivot(space):
    return space.sample(1, seed=3)


@pytest.fixture(scope="module")
def photo():
    """Stripes of two colours, [1, 3, 32, 32]."""
    wave = np.sin(np.arange(32) / 3)[None, :, None] * np.ones((1, 1, 32))
    return np.float32(np.concatenate([wave, 0.5 * wave, -wave]) * 0.8)[None]


@pytest.fixture(scope="module")
def tuned(space, photo, pivot):
    space.decode(pivot)  # what its layers prepare must not be what the copy draws by
    return tune(space, photo, pivot, TUNING)


def error(faces, others):
    return float(np.square(faces - others).mean())


def test_the_photo_is_drawn_at_the_same_latent(space, tuned, photo, pivot):
    before = error(space.decode(pivot), photo)
    assert error(tuned.decode(pivot), photo) < 0.5 * before


def test_what_is_decoded_comes_of_the_new_weights(tuned, pivot):
    with torch.enable_grad():  # where nothing prepared is used
        fresh = tuned.network.synthesis(torch.from_numpy(pivot.values)).clamp(-1, 1)
    np.testing.assert_allclose(tuned.decode(pivot), fresh.detach().numpy(), atol=1e-4)


def test_the_space_given_stays_bit_for_bit(folder, space, tuned, pivot):
    fresh = open_space(folder)
    for name, value in fresh.network.state_dict().items():
        assert torch.equal(space.network.state_dict()[name], value), name
    np.testing.assert_array_equal(space.decode(pivot), fresh.decode(pivot))
    assert not any(x.requires_grad for x in space.network.parameters())


def test_synthesis_weights_alone_are_tuned(space, tuned):
    before, after = (x.network.state_dict() for x in (space, tuned))
    moved = {name for name, value in before.items() if not torch.equal(after[name], value)}
    kept = {name for name in before if name.endswith(".noise") or "synthesis" not in name}
    assert moved
    assert moved.isdisjoint(kept)


def test_locality_keeps_other_faces(space, tuned, photo, pivot):
    options = replace(TUNING, locality=3.0, alpha=3.0)
    held = tune(space, photo, pivot, options)
    others = space.sample(12, seed=9)
    changes = [error(x.decode(others), space.decode(others)) for x in (tuned, held)]
    assert changes[1] < 0.7 * changes[0]
    assert error(held.decode(pivot), photo) < error(space.decode(pivot), photo)


def test_elsewhere_is_alpha_from_the_pivot(space, photo, pivot, monkeypatch):
    """Every latent that tuning draws is the pivot, or lies on the sphere around it."""
    drawn = []
    own = type(space.network.synthesis).forward

    def spy(network, styles, noise="stored"):
        drawn.append((styles.detach() - torch.from_numpy(pivot.values)).square().sum(2))
        return own(network, styles, noise)

    monkeypatch.setattr(type(space.network.synthesis), "forward", spy)
    tune(space, photo, pivot, Options(steps=2, locality=0.1, alpha=2.5))
    lengths = [float(x.mean().sqrt()) for x in drawn]
    assert lengths == pytest.approx([0, 2.5, 2.5] * 2, abs=1e-5)


def test_it_stops_when_it_is_good_enough(space, photo, pivot):
    steps = []

    def run(enough):
        steps.clear()
        tune(space, photo, pivot, Options(steps=3, enough=enough), lambda *a: steps.append(a[0]))
        return list(steps)

    assert run(0.0) == [1, 2, 3]
    assert run(1e9) == []


def test_a_saved_folder_opens_to_the_same_face(tmp_path, space, tuned, pivot):
    card = save_tuned(tmp_path / "me", tuned, {"pivot": "e4e", "options": {"steps": 25}})
    again = open_space(tmp_path / "me")
    np.testing.assert_array_equal(again.decode(pivot), tuned.decode(pivot))
    assert again.mark == tuned.mark == space.mark
    assert own_mark(card).startswith("me@")
    assert own_mark(card) != own_mark(space.card)
    wanted = {"generator": space.mark, "pivot": "e4e", "options": {"steps": 25}}
    assert json.loads((tmp_path / "me" / "card.json").read_text())["tuned"] == wanted
    with pytest.raises(BadInput, match="exists"):
        save_tuned(tmp_path / "me", tuned, {})


def test_tuned_again_it_still_has_the_first_ones_latents(tmp_path, space, tuned, photo, pivot):
    save_tuned(tmp_path / "me", tuned, {})
    first = open_space(tmp_path / "me")
    card = save_tuned(tmp_path / "you", tune(first, photo, pivot, Options(steps=1)), {})
    assert mark(card) == space.mark
    assert card["tuned"]["generator"] == own_mark(first.card)


def test_directions_of_the_original_move_the_tuned(space, tuned, pivot):
    found = sefa.find(unlabelled(space.sample(8), space), sefa.Options(components=2))
    start = Latent(pivot.values, tuned.space, tuned.mark)  # as an inverter into the tuned gives
    moved = edit(start, found, {"component_0": 1.0})
    assert error(tuned.decode(moved), tuned.decode(pivot)) > 1e-4


def test_what_cannot_be_tuned_is_said(space, photo, pivot):
    with pytest.raises(BadInput, match="StyleGAN2 only"):
        tune(open_space("vae-128"), photo, pivot)
    with pytest.raises(BadInput, match="0 steps"):
        Options(steps=0)
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(BadInput, match="locality"):
            Options(locality=wrong)
    with pytest.raises(SpaceMismatch):
        tune(space, photo, Latent(pivot.values, "w+", "other@12345678"))
    with pytest.raises(BadInput, match="latent has shape"):
        tune(space, photo, space.sample(2))
    with pytest.raises(BadInput, match="diverged"):
        tune(space, photo, pivot, Options(steps=3, rate=1e30))

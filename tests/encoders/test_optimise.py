"""Inversion by descent, on a small generator with random weights."""

import numpy as np
import pytest
import torch

from mien.encoders.optimise import Hybrid, Options, correlation, invert
from mien.errors import BadInput, SpaceMismatch, UnknownName
from mien.generators import open_space
from mien.generators.stylegan2 import Architecture, Generator, StyleGAN2
from mien.types import Latent


@pytest.fixture(scope="module")
def space():
    torch.manual_seed(0)
    network = Generator(Architecture(size=32, latent=16, layers=2, base=128, most=16))
    network.estimate_average()
    card = {"name": "toy", "sha256": "0" * 64, "input": {"frame": "none"}}
    return StyleGAN2(network, card)


@pytest.fixture(scope="module")
def faces(space):
    return space.decode(space.sample(2, seed=3))


def error(found, faces):
    return np.square(found.faces - faces).mean((1, 2, 3))


@pytest.mark.parametrize("rows", ["w", "w+"])
def test_a_drawn_face_is_found_again(space, faces, rows):
    found = invert(space, faces, Options(steps=150, rows=rows))
    average = space.network.average.expand(2, space.network.shape.styles, -1)
    guess = space.decode(found.latent.with_values(average.contiguous().numpy()))
    assert (error(found, faces) < 0.3 * np.square(guess - faces).mean((1, 2, 3))).all()
    np.testing.assert_allclose(space.decode(found.latent), found.faces, atol=1e-4)
    values = found.latent.values
    assert (np.ptp(values, axis=1).max() == 0) == (rows == "w")


def test_a_start_is_refined_and_kept_near(space, faces):
    own = space.sample(2, seed=3)
    start = own.with_values(own.values + np.float32(0.3))
    before = np.square(space.decode(start) - faces).mean((1, 2, 3))
    free, held = (invert(space, faces, Hybrid(steps=60, stay=x), start) for x in (0.0, 30.0))
    assert (error(free, faces) < before).all()
    moved = [np.abs(x.latent.values - start.values).mean() for x in (free, held)]
    assert moved[1] < 0.5 * moved[0]


def test_faces_do_not_mind_their_neighbours_much(space, faces):
    options = Options(steps=20, feature=0.0, shake=False)
    both, alone = invert(space, faces, options), invert(space, faces[:1], options)
    np.testing.assert_allclose(both.latent.values[:1], alone.latent.values, atol=1e-3)


def test_noise_maps_are_learned_and_stay_normal(space, faces):
    found = invert(space, faces, Options(steps=10, noise=1e5))
    assert [x.shape[2:] for x in found.noise] == [
        tuple(layer.noise.shape) for layer in space.network.synthesis.layers
    ]
    for values in found.noise:
        np.testing.assert_allclose(values.mean((2, 3)), 0, atol=1e-4)
        np.testing.assert_allclose(values.std((2, 3), ddof=1), 1, atol=1e-3)


def test_correlation_sees_what_repeats():
    ones = torch.ones(1, 1, 32, 32)  # at 32, 16 and 8 px, in both directions
    assert correlation(ones) == pytest.approx(6)
    board = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(16, 16)[None, None]
    assert correlation(board) == pytest.approx(2)  # halved, it is gone
    white = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert correlation(white) < 0.2


def test_what_cannot_be_inverted_is_said(space, faces):
    with pytest.raises(BadInput, match="StyleGAN2 only"):
        invert(open_space("vae-128"), faces)
    with pytest.raises(UnknownName, match="kind of rows"):
        Options(rows="z")
    with pytest.raises(BadInput, match="0 steps"):
        Options(steps=0)
    strange = Latent(space.sample(2).values, "w+", "other@12345678")
    with pytest.raises(SpaceMismatch):
        invert(space, faces, start=strange)

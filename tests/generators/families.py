"""Checks that hold for every family of generators."""

from dataclasses import asdict

import numpy as np
import torch

from mien.checkpoint import save_model
from mien.generators import open_space

FRAMES = {"pggan": "ffhq", "stylegan": "ffhq", "stylegan2": "celeba"}


def card_of(generator, family, **more):
    shape = generator.shape
    latent = [shape.latent] if family == "pggan" else [shape.styles, shape.latent]
    return {
        "name": "small", "kind": "space", "architecture": family, "options": asdict(shape),
        "latent": latent, "input": {"size": shape.size, "frame": FRAMES[family], "range": [-1, 1]},
        **more,
    }  # fmt: skip


def saved(generator, family, folder, **more):
    tensors = {key: value.numpy() for key, value in generator.state_dict().items()}
    save_model(folder, tensors, card_of(generator, family, **more))
    return open_space(folder)


@torch.no_grad()
def check_opens_to_the_same_faces(generator, family, width, folder):
    """A saved generator draws what it drew, from random numbers of `width`; returns its space."""
    space = saved(generator, family, folder)
    latent = space.sample(3, seed=4)
    assert latent.values.shape == (3, *space.card["latent"])
    z = np.random.default_rng(4).standard_normal((3, width)).astype(np.float32)
    want = generator(torch.from_numpy(z), noise="stored").clamp(-1, 1)
    np.testing.assert_allclose(space.decode(latent), want.numpy(), atol=1e-5)
    again = open_space(folder).decode(latent)
    np.testing.assert_array_equal(again, space.decode(latent))
    return space


def check_recorded(data, module, seen):
    """Every output that the original's `module` recorded, against `seen` by its name."""
    recorded = [key for key in data.manifest["outputs"] if key.startswith(f"{module}.")]
    assert recorded
    for key in recorded:
        worst, passes = data.check(key, seen[key.removeprefix(f"{module}.")].numpy())
        assert passes, f"{key}: {worst}"


def check_truncation(generator, family, folder):
    """The card's truncation and the call's multiply; rows beyond its layers stay.

    generator: one that truncates nothing itself. Returns w+ [2, L, D] without truncation.
    """
    whole = saved(generator, family, folder / "a").sample(2, seed=1).values
    average = generator.average.numpy()
    near = saved(generator, family, folder / "b", truncation=0.6)
    near = near.sample(2, seed=1, truncation=0.5).values
    np.testing.assert_allclose(near, average + 0.3 * (whole - average), rtol=1e-4, atol=1e-5)
    card = {"truncation": {"psi": 0.6, "layers": 2}}
    rows = saved(generator, family, folder / "c", **card).sample(2, seed=1).values
    np.testing.assert_allclose(rows[:, 2:], whole[:, 2:], rtol=1e-6)
    wanted = (average + 0.6 * (whole - average))[:, :2]
    np.testing.assert_allclose(rows[:, :2], wanted, rtol=1e-4, atol=1e-5)
    return whole

"""Copying the VAE's photos: whitening by the prior, the loss, and what the recipe does when."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.errors import BadInput
from mien.faces.cache import to_bytes, to_unit
from mien.generators import open_space
from mien.generators.stylegan2 import Architecture
from mien.train import stylegan2
from mien.train._stylegan2_state import Recipe, start
from mien.train.stylegan2 import update
from mien.train.teacher import Lesson, Teacher, whitened

SMALL = Recipe(
    shape=Architecture(size=16, latent=6, layers=2, base=64, most=8), batch=4, teach=40,
    anchor=0.5, anchor_half=100, augmentation="none", r1_every=100,
)  # fmt: skip


def test_whitened_latents_keep_mahalanobis_distances_and_start_with_the_widest_axes():
    space = open_space()
    photos = to_bytes(space.decode(space.sample(5, seed=2)))
    mean, factor = space.prior
    z = whitened(space, photos, len(mean)).numpy()
    apart = space.encode(to_unit(photos)).values - mean
    want = np.linalg.solve(factor.astype(np.float64), apart.T).T
    np.testing.assert_allclose(z @ z.T, want @ want.T, rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(whitened(space, photos, 7), z[:, :7], rtol=1e-5, atol=1e-5)
    widest = np.linalg.eigh(factor @ factor.T)[1][:, -1]
    assert abs(np.corrcoef(apart @ widest, z[:, 0])[0, 1]) > 0.999
    with pytest.raises(BadInput, match="at most latent="):
        whitened(space, photos, len(mean) + 1)


def test_a_copy_costs_nothing_and_a_far_one_more():
    torch.manual_seed(0)
    teacher = Teacher("efficientnet_lite0", 0.1)
    photos = torch.rand(2, 3, 64, 64) * 2 - 1
    near, far = photos + 0.02 * torch.randn_like(photos), photos + torch.randn_like(photos)
    assert teacher.loss(photos, photos) == 0
    assert 0 < teacher.loss(near, photos) < teacher.loss(far, photos)


def test_copying_ends_where_competing_starts():
    assert SMALL.competing(0) == (False, 0.0, 0.5)
    assert SMALL.competing(36) == (True, 0.0, 0.5)
    assert SMALL.competing(40) == (True, 1.0, 0.5)
    assert SMALL.competing(140) == (True, 1.0, 0.25)
    assert replace(SMALL, teach=0).competing(0) == (True, 1.0, 0.0)


@pytest.mark.parametrize(
    ("step", "logged"),
    [(0, {"copy"}), (10, {"copy", "share", "critic", "sure", "adversary", "beyond"})],
)
def test_only_copying_leaves_the_discriminator_alone(step, logged):
    state = start(SMALL)
    before = {key: value.clone() for key, value in state.adversary.state_dict().items()}
    photos = torch.rand(4, 3, 16, 16) * 2 - 1
    terms = update(state, photos, step, SMALL, Lesson(torch.randn(4, 6), photos))
    assert set(terms) == logged
    after = state.adversary.state_dict()
    same = all(torch.equal(value, after[key]) for key, value in before.items())
    assert same == (step == 0)


def test_copying_draws_the_photos():
    torch.manual_seed(0)
    recipe = replace(SMALL, teach=10_000, rate=0.01, feature=0.0)
    state = start(recipe)
    photos = (torch.rand(4, 3, 1, 1) * 2 - 1).expand(4, 3, 16, 16)
    lesson = Lesson(torch.randn(4, 6), photos)
    costs = [float(update(state, photos, step, recipe, lesson)["copy"]) for step in range(60)]
    assert costs[-1] < 0.1 * costs[0]


def test_lessons_are_spread_over_the_batch_once_it_competes():
    z, photos = torch.arange(32.0)[:, None], torch.zeros(32, 3, 8, 8)
    recipe = replace(SMALL, batch=32, teach=64)
    assert len(stylegan2._lesson(photos, z, 1, recipe).z) == 32
    assert stylegan2._lesson(photos, z, 2, recipe).z[:, 0].tolist() == [0, 4, 8, 12, 16, 20, 24, 28]

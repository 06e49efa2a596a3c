"""Copying the VAE's faces: what a lesson holds, its mark, and what the recipe does when."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mien.errors import BadInput
from mien.generators import open_space
from mien.generators.stylegan2 import Architecture
from mien.train._stylegan2_state import Recipe, start
from mien.train.run import generator
from mien.train.stylegan2 import update
from mien.train.teacher import Teacher

SMALL = Recipe(
    shape=Architecture(size=16, latent=6, layers=2, base=64, most=8), batch=4, teach=40,
    anchor=0.5, anchor_half=100, augmentation="none", r1_every=100,
)  # fmt: skip
TRUNK = "efficientnet_lite0"


def test_a_lesson_holds_what_the_space_decodes_along_its_widest_axes():
    space = open_space()
    mean, factor = space.prior
    teacher = Teacher(space, 5, 64, TRUNK, 0.1)
    lesson = teacher.lesson(3, generator(0, 0))
    assert lesson.z.shape == (3, 5)
    latent = replace(space.sample(3), values=(mean + lesson.z.numpy() @ teacher.axes.numpy()))
    want = F.avg_pool2d(torch.from_numpy(space.decode(latent)), 2)
    torch.testing.assert_close(lesson.faces, want, rtol=1e-4, atol=1e-4)
    values, vectors = np.linalg.eigh(factor.astype(np.float64) @ factor.T)
    along = np.abs((teacher.axes.numpy()[0] * vectors[:, -1]).sum())
    assert along == pytest.approx(np.sqrt(values[-1]), rel=1e-3)


@pytest.mark.parametrize(("width", "size"), [(1000, 64), (8, 256)])
def test_a_teacher_knows_its_limits(width, size):
    with pytest.raises(BadInput, match="teaches at most latent="):
        Teacher(open_space(), width, size, TRUNK, 0.1)


def test_a_copy_costs_nothing_and_a_far_one_more():
    torch.manual_seed(0)
    teacher = Teacher(open_space(), 4, 64, TRUNK, 0.1)
    faces = torch.rand(2, 3, 64, 64) * 2 - 1
    near, far = faces + 0.02 * torch.randn_like(faces), faces + torch.randn_like(faces)
    assert teacher.loss(faces, faces) == 0
    assert 0 < teacher.loss(near, faces) < teacher.loss(far, faces)


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
    terms = update(state, torch.rand(4, 3, 16, 16) * 2 - 1, step, SMALL)
    assert set(terms) == logged
    after = state.adversary.state_dict()
    same = all(torch.equal(value, after[key]) for key, value in before.items())
    assert same == (step == 0)


def test_copying_comes_nearer_to_the_teacher():
    recipe = replace(SMALL, teach=10_000, rate=0.01, feature=0.0)
    state = start(recipe)
    photos = torch.zeros(4, 3, 16, 16)
    costs = [float(update(state, photos, step, recipe)["copy"]) for step in range(60)]
    assert np.mean(costs[-10:]) < 0.5 * np.mean(costs[:3])

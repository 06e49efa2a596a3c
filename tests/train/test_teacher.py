"""Drawing photos from their numbers: the numbers, the mark, and how it weighs against pleasing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.errors import BadInput
from mien.faces.cache import cached_crops, to_unit
from mien.faces.celeba import read_celeba
from mien.generators import open_space
from mien.generators.stylegan2 import Architecture
from mien.train._stylegan2_state import Recipe, start
from mien.train.stylegan2 import Batch, _weigh, update
from mien.train.teacher import Teacher, encoded, numbers_of

SMALL = Recipe(
    shape=Architecture(size=16, latent=6, layers=2, base=64, most=8), batch=4, teach=40, ramp=40,
    copies=0.5, discriminator="own", augmentation="none", r1_every=100,
)  # fmt: skip


def test_numbers_are_standard_normal_and_lead_back_to_the_latents():
    space = open_space()
    mean, factor = space.prior
    latents = space.sample(2000).values
    found = numbers_of(latents, space, len(mean)).numpy()
    np.testing.assert_allclose(found.mean(0), 0, atol=0.12)
    np.testing.assert_allclose(np.cov(found.T), np.eye(len(mean)), atol=0.2)
    # whitening keeps Mahalanobis distances, whatever its axes
    centred = (latents[:5] - mean).astype(np.float64)
    inverse = np.linalg.inv(factor.astype(np.float64) @ factor.T)
    want = np.einsum("nd,de,ne->n", centred, inverse, centred)
    np.testing.assert_allclose(np.square(found[:5]).sum(1), want, rtol=1e-2)


def test_few_numbers_are_those_along_the_widest_axes():
    space = open_space()
    mean, factor = space.prior
    _, vectors = np.linalg.eigh(factor.astype(np.float64) @ factor.T)
    latents = (mean + 3 * vectors[:, -2:].T).astype(np.float32)
    found = numbers_of(latents, space, 2).numpy()
    order = np.abs(found) > 1e-3
    np.testing.assert_array_equal(order, [[False, True], [True, False]])


def test_photos_are_encoded_in_their_order(celeba_root):
    space, paths = open_space(), read_celeba(celeba_root, "valid").paths[:3]
    faces = to_unit(cached_crops(paths, space.size))
    redrawn = space.render(torch.from_numpy(encoded(paths, space))).detach().numpy()
    errors = np.square(redrawn[:, None] - faces[None]).mean((2, 3, 4))
    assert errors.argmin(1).tolist() == [0, 1, 2]
    assert errors.diagonal().max() < 0.06


def test_a_teacher_knows_its_limits():
    with pytest.raises(BadInput, match="teaches at most latent="):
        numbers_of(np.zeros((1, 352), np.float32), open_space(), 1000)


def test_a_copy_costs_nothing_and_a_far_one_more():
    torch.manual_seed(0)
    teacher = Teacher("efficientnet_lite0", 0.1)
    faces = torch.rand(2, 3, 64, 64) * 2 - 1
    near, far = faces + 0.02 * torch.randn_like(faces), faces + torch.randn_like(faces)
    assert teacher.loss(faces, faces) == 0
    assert 0 < teacher.loss(near, faces) < teacher.loss(far, faces)


def batch(seed=0):
    random = torch.Generator().manual_seed(seed)
    photos = torch.rand(4, 3, 16, 16, generator=random) * 2 - 1
    return Batch(photos, torch.randn(4, 6, generator=random))


@pytest.mark.parametrize(
    ("step", "logged"),
    [(0, {"copy"}), (15, {"copy", "share", "critic", "sure", "adversary", "beyond"})],
)
def test_only_copying_leaves_the_discriminator_alone(step, logged):
    state = start(SMALL)
    before = {key: value.clone() for key, value in state.adversary.state_dict().items()}
    terms = update(state, batch(), step, SMALL)
    assert set(terms) == logged
    after = state.adversary.state_dict()
    same = all(torch.equal(value, after[key]) for key, value in before.items())
    assert same == (step == 0)


def test_copying_draws_the_photos_of_the_numbers():
    recipe = replace(SMALL, teach=10_000, rate=0.01, feature=0.0)
    state, lesson = start(recipe), batch()
    costs = [float(update(state, lesson, step, recipe)["copy"]) for step in range(80)]
    assert np.mean(costs[-10:]) < 0.5 * np.mean(costs[:3])


def test_pleasing_weighs_as_much_as_asked():
    state = start(replace(SMALL, feature=0.0))
    random = torch.Generator().manual_seed(1)
    samples, weights = torch.randn(2, 4, 3, 16, 16, generator=random)
    samples.requires_grad_()
    photos = batch().photos[:2]
    loss, copied = _weigh(state, ((weights * samples).sum(), samples), photos, 0.5)
    assert float(copied) == pytest.approx(
        float((samples.detach()[:2] - photos).square().mean()), rel=1e-3
    )
    loss.backward()
    draw = 2 * (samples[:2] - photos).detach() / photos.numel()
    please = samples.grad.clone()
    please[:2] -= draw
    assert float(please[:2].norm() / draw.norm()) == pytest.approx(0.5, rel=1e-3)
    scale = please.norm() / weights.norm()
    torch.testing.assert_close(please, scale * weights, rtol=1e-3, atol=1e-6)

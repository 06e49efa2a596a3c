"""Adversarial losses against closed forms and gradients taken by hand."""

import math

import pytest
import torch

from mien.train.adversarial import (
    PathLength,
    critic_hinge,
    critic_logistic,
    generator_hinge,
    generator_logistic,
    r1,
)


def logits(*values):
    return [torch.tensor(value) for value in values]


def test_hinge_losses_are_their_formulas():
    real, fake = logits([2.0, 0.5], [-1.0]), logits([-3.0, 0.0], [1.0])
    # photos: (0 + 0.5) / 2 and 2; samples: (0 + 1) / 2 and 2
    assert critic_hinge(real, fake) == pytest.approx((0.25 + 2) / 2 + (0.5 + 2) / 2)
    assert generator_hinge(fake) == pytest.approx(-(-1.5 + 1.0) / 2)


def test_logistic_losses_are_the_cross_entropy():
    real, fake = torch.randn(7), torch.randn(7)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    want = entropy(real, torch.ones(7)) + entropy(fake, torch.zeros(7))
    torch.testing.assert_close(critic_logistic([real], [fake]), want)
    torch.testing.assert_close(generator_logistic([fake]), entropy(fake, torch.ones(7)))


def test_losses_are_fp32_for_bf16_logits():
    values = [torch.randn(5).bfloat16()]
    for loss in (critic_hinge(values, values), generator_logistic(values)):
        assert loss.dtype == torch.float32


def test_r1_of_a_linear_discriminator_is_its_squared_weight():
    weight = torch.randn(3 * 4 * 4, requires_grad=True)
    penalty = r1(lambda x: x.flatten(1) @ weight, torch.randn(5, 3, 4, 4))
    torch.testing.assert_close(penalty, weight.square().sum())
    (gradient,) = torch.autograd.grad(penalty, weight)
    torch.testing.assert_close(gradient, 2 * weight)


def test_r1_of_a_quadratic_discriminator_is_four_times_the_squared_face():
    faces = torch.randn(6, 3, 2, 2)
    penalty = r1(lambda x: x.square().flatten(1).sum(1), faces)
    torch.testing.assert_close(penalty, 4 * faces.square().flatten(1).sum(1).mean())


def test_path_length_of_a_linear_map_is_the_norm_of_its_transposed():
    torch.manual_seed(0)
    count, rows, width, side = 4, 3, 5, 2
    matrix = torch.randn(rows * width, 3 * side * side)
    styles = torch.randn(count, rows, width, requires_grad=True)
    faces = (styles.flatten(1) @ matrix).view(count, 3, side, side)
    noise = torch.randn_like(faces)
    got = PathLength(torch.zeros(())).lengths(faces, styles, noise)
    pulled = (noise.flatten(1) / side) @ matrix.t()
    want = (pulled.square().sum(1) / rows).sqrt()  # mean over the rows of squared norms
    torch.testing.assert_close(got, want)


def test_path_penalty_is_the_deviation_from_a_running_mean():
    styles = torch.randn(8, 2, 3, requires_grad=True)
    faces = styles.sum((1, 2)).view(8, 1, 1, 1).expand(8, 3, 2, 2)
    noise = torch.randn(8, 3, 2, 2)
    path = PathLength(torch.tensor(2.0), decay=0.25)
    lengths = noise.sum((1, 2, 3)).abs() / 2 * math.sqrt(3)
    mean = 0.75 * 2 + 0.25 * lengths.mean()
    torch.testing.assert_close(path(faces, styles, noise), (lengths - mean).square().mean())
    torch.testing.assert_close(path.mean, mean)

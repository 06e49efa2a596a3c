"""Losses of adversarial training: logistic, hinge, R1 and path length.

All take logits as lists, one tensor a discriminator, and average over what a
tensor holds, then over the list; in fp32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

Logits = Sequence[torch.Tensor]


def _mean(terms: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack([term.mean() for term in terms]).mean()


def critic_logistic(real: Logits, fake: Logits) -> torch.Tensor:
    """softplus(-real) + softplus(fake) (Goodfellow et al., NeurIPS 2014)."""
    return _mean([F.softplus(-x.float()) for x in real]) + _mean(
        [F.softplus(x.float()) for x in fake]
    )


def generator_logistic(fake: Logits) -> torch.Tensor:
    """Non-saturating: softplus(-fake) (the same paper)."""
    return _mean([F.softplus(-x.float()) for x in fake])


def critic_hinge(real: Logits, fake: Logits) -> torch.Tensor:
    """max(0, 1 - real) + max(0, 1 + fake) (Lim and Ye, "Geometric GAN", 2017)."""
    return _mean([F.relu(1 - x.float()) for x in real]) + _mean(
        [F.relu(1 + x.float()) for x in fake]
    )


def generator_hinge(fake: Logits) -> torch.Tensor:
    """-fake (the same paper)."""
    return -_mean([x.float() for x in fake])


def r1(discriminator: Callable[[torch.Tensor], torch.Tensor], faces: torch.Tensor) -> torch.Tensor:
    """Mean squared norm of the discriminator's gradient at real faces [N, 3, S, S].

    Mescheder et al. (ICML 2018), without their factor gamma / 2.
    """
    faces = faces.detach().requires_grad_()
    logits = discriminator(faces)
    (gradient,) = torch.autograd.grad(logits.sum(), faces, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()


@dataclass
class PathLength:
    """Path-length regularisation (Karras et al., CVPR 2020, section 3.2).

    Keeps |J^T y| near its running mean, J being the faces' Jacobian by the
    styles [N, L, D] and y Gaussian noise in face space: root of the mean over
    layers of the squared norm.
    """

    mean: torch.Tensor  # scalar, running
    decay: float = 0.01

    def lengths(
        self, faces: torch.Tensor, styles: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        """|J^T y| of every face, [N]; noise: standard normal of the faces' shape."""
        scaled = noise / math.sqrt(faces.shape[2] * faces.shape[3])
        (gradient,) = torch.autograd.grad((faces * scaled).sum(), styles, create_graph=True)
        return gradient.square().sum(2).mean(1).sqrt()

    def __call__(
        self, faces: torch.Tensor, styles: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        """Mean squared deviation from the running mean, which it moves."""
        lengths = self.lengths(faces, styles, noise)
        self.mean.lerp_(lengths.detach().mean(), self.decay)
        return (lengths - self.mean).square().mean()


def wasserstein_sides(real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(-real, fake), each averaged (Arjovsky et al., "Wasserstein GAN", ICML 2017)."""
    return -real.float().mean(), fake.float().mean()


def hinge_sides(real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(max(0, 1 - real), max(0, 1 + fake)), each averaged: `critic_hinge` before its sum."""
    return F.relu(1 - real.float()).mean(), F.relu(1 + fake.float()).mean()


def unit_slope(slopes: torch.Tensor) -> torch.Tensor:
    """Mean squared distance from 1 of the norms of gradients [N, ...].

    The penalty of Gulrajani et al., "Improved Training of Wasserstein GANs" (NeurIPS 2017),
    for gradients at points between real and made samples.
    """
    norms: torch.Tensor = torch.linalg.vector_norm(slopes.float().flatten(1), dim=1)
    return (norms - 1).square().mean()

"""Disturbances to train a recogniser against, so that what it asks for is what people see.

Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks" (ICLR 2018), by
one step from a random beginning (Wong et al., "Fast is better than free", ICLR 2020). Who
pleases such a network has to draw what an attribute looks like (Santurkar et al., "Image
Synthesis with a Single (Robust) Classifier", NeurIPS 2019). Disturbances are soft, as additions
of a translator are.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from mien.generators.layers.gaussian import blurred

SOFT = 1 / 64  # of the width of a face: the deviation of the Gaussian that blurs disturbances
TINY = 1e-12  # where a slope is nothing

Loss = Callable[[torch.Tensor], torch.Tensor]


def disturbed(
    loss: Loss, faces: torch.Tensor, radius: float, random: torch.Generator
) -> torch.Tensor:
    """Faces [N, 3, S, S] with what raises their loss most, no longer than `radius` each.

    radius: above 0, L2 norm over all colours and pixels of a face in [-1, 1]. loss: a mean.
    """
    noise = torch.randn(faces.shape, generator=random)
    begin = radius * torch.rand(len(faces), 1, 1, 1, generator=random) * _unit(noise)
    begin.requires_grad_()
    (slope,) = torch.autograd.grad(loss(faces + begin), begin)
    moved = (begin + radius * _unit(slope)).detach()
    return faces + moved * (radius / _length(moved).clamp(min=radius))


def _unit(pictures: torch.Tensor) -> torch.Tensor:
    soft = blurred(pictures, SOFT * pictures.shape[3])
    return soft / (_length(soft) + TINY)


def _length(pictures: torch.Tensor) -> torch.Tensor:
    return pictures.square().sum((1, 2, 3), keepdim=True).sqrt()

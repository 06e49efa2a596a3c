"""How much of a face changes where people are told apart, and not by their hair."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F

CENTRE, WIDTH = (0.5, 0.62), 0.16  # between eyes and mouth in CelebA's frame; standard deviation


def inner_change(moved: torch.Tensor, faces: torch.Tensor, outer: float = 0.0) -> torch.Tensor:
    """Mean squared change [N] of faces [N, 3, S, S] at half size, weighed by place.

    outer: weight of the outermost places, relative to 1 at the centre.
    """
    change = F.avg_pool2d(moved - faces, 2).square()
    return (change * _weights(*change.shape[2:], outer)).mean((1, 2, 3))


@cache
def _weights(height: int, width: int, outer: float) -> torch.Tensor:
    """Weights [H, W] of mean 1, highest between eyes and mouth."""
    x = (torch.arange(width) + 0.5) / width - CENTRE[0]
    y = (torch.arange(height) + 0.5) / height - CENTRE[1]
    weights = outer + torch.exp(-(x**2 + y[:, None] ** 2) / (2 * WIDTH**2))
    return weights / weights.mean()

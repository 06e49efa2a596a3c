"""Gaussian blur of a fixed width."""

from __future__ import annotations

import torch


def blurred(x: torch.Tensor, width: float) -> torch.Tensor:
    """[N, C, H, W] -> the same in fp32, blurred by a Gaussian of `width` px (its deviation).

    At borders by the part of it that lies inside. Two products with matrices, which for
    the three channels of pictures cost less than a convolution that pads.
    """
    with torch.autocast(x.device.type, enabled=False):
        x = x.float().contiguous()
        return _weights(x, 2, width) @ x @ _weights(x, 3, width).t()


def _weights(x: torch.Tensor, axis: int, width: float) -> torch.Tensor:
    """[S, S]: what each place takes of every other along the axis; rows sum to 1."""
    place = torch.arange(x.shape[axis], dtype=x.dtype, device=x.device)
    weights = torch.exp((place[:, None] - place).square() / (-2 * width**2))
    return weights / weights.sum(1, keepdim=True)

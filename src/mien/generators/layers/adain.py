"""Adaptive instance normalisation: each feature map takes mean and spread from a style.

Huang and Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance
Normalization" (ICCV 2017), equation 8; Karras et al., "A Style-Based Generator
Architecture for GANs" (CVPR 2019), equation 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from mien.generators.layers.equalised import SLOPE
from mien.runtime import engine

EPSILON = 1e-8
BAND = 2**19  # bytes of a band: several passes over it stay in a core's cache


def finish(
    x: torch.Tensor, noise: torch.Tensor | None, strength: torch.Tensor, styles: torch.Tensor
) -> torch.Tensor:
    """What follows a convolution: noise, leaky rectifier, normalisation, style.

    x: [N, C, H, W], overwritten where no gradient is kept. noise: [1 or N, 1, H, W].
    strength: [C], of the noise in each channel. styles: fp32 [N, 2C], scales
    less 1, then shifts.
    """
    if engine.is_reading():
        return _traced(x, noise, strength, styles)
    scale, shift = (styles.view(len(x), 2, -1, 1, 1)).unbind(1)
    strength = strength.to(x.dtype)[:, None, None]
    noise = None if noise is None else noise.to(x.dtype)
    if torch.is_grad_enabled() or x.device.type != "cpu":
        x = F.leaky_relu(x if noise is None else x + noise * strength, SLOPE)
        return normalise(x) * (scale + 1).to(x.dtype) + shift.to(x.dtype)
    for n in range(len(x)):
        maps = None if noise is None else noise[n if len(noise) > 1 else 0][None]
        _finish_one(x[n : n + 1], maps, strength, (scale[n] + 1, shift[n]))
    return x


def normalise(x: torch.Tensor) -> torch.Tensor:
    """Each map of [N, C, H, W] less its mean, over its standard deviation; moments in fp32."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    wide = wide - wide.mean((2, 3), keepdim=True)
    power = wide.square().mean((2, 3), keepdim=True)
    return (wide * torch.rsqrt(power + EPSILON)).to(x.dtype)


def _traced(
    x: torch.Tensor, noise: torch.Tensor | None, strength: torch.Tensor, styles: torch.Tensor
) -> torch.Tensor:
    """The same in operations that other engines fuse; styles: [N, 2C, 1, 1]."""
    x = x if noise is None else x + noise * strength[:, None, None]
    scale, shift = styles.chunk(2, 1)
    return F.instance_norm(F.leaky_relu(x, SLOPE), eps=EPSILON) * (scale + 1) + shift


def _finish_one(
    x: torch.Tensor, noise: torch.Tensor | None, strength: torch.Tensor,
    style: tuple[torch.Tensor, torch.Tensor],
) -> None:  # fmt: skip
    """The same in place for one face, in bands of rows that fit a core's cache."""
    rows = max(1, BAND // (x[:, :, 0].numel() * x.element_size()))
    bands = x.split(rows, 2)
    maps = (None,) * len(bands) if noise is None else noise.split(rows, 2)
    mean, variance = _pooled([_rectified(b, m, strength) for b, m in zip(bands, maps, strict=True)])
    factor = style[0] * torch.rsqrt(variance + EPSILON)[:, None, None]
    offset = (style[1] - mean[:, None, None] * factor).to(x.dtype)
    factor = factor.to(x.dtype)
    for band in bands:
        torch.addcmul(offset, band, factor, out=band)


def _rectified(
    band: torch.Tensor, noise: torch.Tensor | None, strength: torch.Tensor
) -> tuple[int, torch.Tensor, torch.Tensor]:
    """(rows, mean [C], variance [C]) of a band after noise and rectifier, applied in place."""
    if noise is not None:
        band.addcmul_(noise, strength)
    F.leaky_relu_(band, SLOPE)
    kind = torch.promote_types(band.dtype, torch.float32)
    zeros = torch.zeros(band.shape[1], dtype=kind)  # their type is that of the moments
    mean, variance = torch.batch_norm_update_stats(band, zeros, zeros.clone(), 0.0)
    return band.shape[2], mean, variance


def _pooled(
    parts: list[tuple[int, torch.Tensor, torch.Tensor]],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of all bands together (Chan et al. 1979)."""
    share = torch.tensor([float(rows) for rows, _, _ in parts])[:, None]
    share /= share.sum()
    means = torch.stack([mean for _, mean, _ in parts])
    mean = (means * share).sum(0)
    spread = torch.stack([variance for _, _, variance in parts]) + (means - mean).square()
    return mean, (spread * share).sum(0)

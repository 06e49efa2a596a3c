"""Statistics over the batch that let a discriminator see variety.

Karras et al., "Progressive Growing of GANs" (ICLR 2018), section 3.
"""

from __future__ import annotations

import torch


def append_deviation(x: torch.Tensor, group: int = 4, maps: int = 1) -> torch.Tensor:
    """[N, C, H, W] -> [N, C + maps, H, W]: the standard deviation within groups, averaged.

    A group holds the faces i, i + N/g, i + 2N/g, ... where g is the largest
    divisor of N up to `group`; each map averages C / maps channels and all places.
    """
    count, channels, height, width = x.shape
    size = next(g for g in range(min(group, count), 0, -1) if count % g == 0)
    parts = x.float().reshape(size, -1, maps, channels // maps, height, width)
    deviation = (parts.var(0, correction=0) + 1e-8).sqrt().mean((2, 3, 4))  # [N/g, maps]
    plane = deviation.repeat(size, 1)[:, :, None, None].expand(-1, -1, height, width)
    return torch.cat([x, plane.to(x.dtype)], 1)

"""Convolution whose weights are scaled by a style, and rescaled to unit output variance.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020),
section 2.2, equations 1 and 3. The scales are applied to activations rather than to
weights: the same numbers, one convolution for the whole batch, no grouped copy.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from mien.generators.layers.equalised import Linear
from mien.generators.layers.resample import Filter


class Modulated(nn.Module):
    """[N, inputs, H, W] and w [N, D] -> [N, outputs, H, W], or twice that size.

    up: the filter that smooths a stride-2 transposed convolution; None keeps the size.
    """

    def __init__(
        self, inputs: int, outputs: int, side: int, latent: int, up: Filter | None = None,
        demodulate: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.style = Linear(latent, inputs, bias=1.0)
        self.scale = 1 / math.sqrt(inputs * side * side)
        self.side, self.demodulate = side, demodulate
        self.up = up

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """Equations 1 and 3, on activations."""
        styles = self.style(w)
        x = self._convolve(x * _spatial(styles, x))
        return x * _spatial(self.rescale(styles), x) if self.demodulate else x

    def rescale(self, styles: torch.Tensor) -> torch.Tensor:
        """Styles [N, inputs] -> the factors [N, outputs] of equation 3."""
        with torch.autocast(styles.device.type, enabled=False):
            power = (self.weight * self.scale).square().sum((2, 3))
            return torch.rsqrt(styles.square() @ power.t() + 1e-8)

    def _convolve(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight * self.scale
        if self.up is None:
            return F.conv2d(x, weight, padding=self.side // 2)
        return self.up.behind_transposed(
            F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), self.side
        )


def _spatial(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """[N, C] -> [N, C, 1, 1] in the precision of `like`."""
    return values.to(like.dtype)[:, :, None, None]

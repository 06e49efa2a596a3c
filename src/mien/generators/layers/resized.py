"""Equalised convolutions that keep, double or halve the size of a picture.

Karras et al., "Progressive Growing of GANs" (ICLR 2018), section 4.1 and table 2.
Pixels doubled by repetition and then convolved 3x3 depend on 2x2 different
values only: one 2x2 convolution with four outputs a pixel gives the same numbers
with 4 instead of 9 multiplications, and a 4x4 one with stride 2 the average of
2x2 results. Kernels are kept between calls; large fp32 ones work by tiles.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from mien.generators.layers import tiles
from mien.generators.layers.equalised import GAIN, SLOPE
from mien.generators.layers.finish import Bias
from mien.generators.layers.kept import Keeping
from mien.runtime import engine

# for the lower (odd) pixel of a window, then for the upper (even) one of the next:
# which of the taps 0, 1, 2 fall on the window's first and second value
FOLD = (((1.0, 1.0, 0.0), (0.0, 0.0, 1.0)), ((1.0, 0.0, 0.0), (0.0, 1.0, 1.0)))


class Conv(Keeping):
    """Convolution that keeps the size; weights of unit variance, scaled by gain / sqrt(fan in)."""

    def __init__(
        self, inputs: int, outputs: int, side: int = 3, gain: float = GAIN, bias: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale, self.padding = gain / math.sqrt(inputs * side * side), side // 2

    def forward(self, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        """[N, inputs, H, W] -> [N, outputs, H, W]; `bias` in place of a missing one."""
        bias = self.bias if bias is None else bias
        if tiles.suits(x, self.weight, tiles.SAME):
            return self._tiled(x, bias, tiles.SAME)
        return F.conv2d(x, self.kernel(x), bias, padding=self.padding)

    def kernel(self, x: torch.Tensor) -> torch.Tensor:
        """What `x` is convolved with, in the precision of the computation.

        It is made again only when the weight, its place or the precision changed,
        and at every call where gradients of the weight are wanted.
        """
        if torch.is_grad_enabled() and self.weight.requires_grad:
            return self._fold(self.weight * self.scale)
        device = x.device.type
        lower = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if lower else self.weight.dtype

        def make() -> torch.Tensor:
            kernel = self._fold(self.weight * self.scale).to(dtype)
            return kernel.contiguous(memory_format=torch.channels_last)

        return self.kept(str(dtype), make)

    def _tiled(
        self, x: torch.Tensor, bias: torch.Tensor | None, tiling: tiles.Tiling
    ) -> torch.Tensor:
        kernel = self.kept(
            "tiles", lambda: tiles.transform(self._fold(self.weight * self.scale), tiling)
        )
        return tiles.convolve(x, kernel, tiling, Bias(bias))

    def _fold(self, weight: torch.Tensor) -> torch.Tensor:
        return weight


class Doubling(Conv):
    """Each pixel repeated 2x2, then a 3x3 convolution."""

    def forward(self, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        """[N, inputs, H, W] -> [N, outputs, 2H, 2W]."""
        if engine.is_reading():
            return inner(self._shuffled(x, self.bias if bias is None else bias))
        return inner(self.ringed(x, bias))

    def ringed(self, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        """[N, outputs, 2H+2, 2W+2]: with a ring of pixels that lie outside the picture.

        Each 2x2 window of the padded input gives 2x2 pixels.
        """
        bias = self.bias if bias is None else bias
        if tiles.suits(x, self.weight, tiles.DOUBLING):
            return self._tiled(x, bias, tiles.DOUBLING)
        y = F.conv2d(x, self.kernel(x), None if bias is None else bias.repeat(4), padding=1)
        count, _, high, wide = y.shape
        y = y.permute(0, 2, 3, 1).reshape(count, high, wide, 2, 2, -1).transpose(2, 3)
        return y.reshape(count, 2 * high, 2 * wide, -1).permute(0, 3, 1, 2)

    def _shuffled(self, x: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """`ringed` by the operation that other engines know for it."""
        folded = self._fold(self.weight * self.scale).unflatten(0, (4, -1))
        many = None if bias is None else bias.repeat_interleave(4)
        kernel = folded.transpose(0, 1).flatten(0, 1)
        return F.pixel_shuffle(F.conv2d(x, kernel, many, padding=1), 2)

    def _fold(self, weight: torch.Tensor) -> torch.Tensor:
        fold = torch.tensor(FOLD, dtype=weight.dtype, device=weight.device)
        return torch.einsum("pak,qbl,oikl->pqoiab", fold, fold, weight).flatten(0, 2)


class Halving(Conv):
    """A 3x3 convolution, then the average of each 2x2 pixels."""

    def forward(self, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        """[N, inputs, H, W] -> [N, outputs, H/2, W/2]."""
        bias = self.bias if bias is None else bias
        return F.conv2d(x, self.kernel(x), bias, stride=2, padding=1)

    def _fold(self, weight: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(F.pad(weight, (1, 1, 1, 1)), 2, stride=1)


def inner(x: torch.Tensor) -> torch.Tensor:
    """A view without the outermost ring of pixels."""
    return x[:, :, 1:-1, 1:-1]


def blur(x: torch.Tensor, bias: torch.Tensor | None = None, ringed: bool = False) -> torch.Tensor:
    """Smoothed by [1, 2, 1] x [1, 2, 1] / 16, zeros outside the picture; plus a bias a channel.

    ringed: `x` has a ring of pixels outside the picture; it is overwritten with zeros.
    """
    line = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype, device=x.device)
    kernel = (line[:, None] * line).expand(x.shape[1], 1, 3, 3)
    if ringed:
        x[:, :, 0], x[:, :, -1], x[..., 0], x[..., -1] = 0, 0, 0, 0
    bias = None if bias is None else bias.to(x.dtype)
    return F.conv2d(x, kernel, bias, padding=0 if ringed else 1, groups=x.shape[1])


def rectify(x: torch.Tensor) -> torch.Tensor:
    """Leaky rectifier without gain; in place where no gradient is kept."""
    return F.leaky_relu(x, SLOPE) if torch.is_grad_enabled() else F.leaky_relu_(x, SLOPE)

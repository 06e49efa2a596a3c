"""Convolution whose weights are scaled by a style, and rescaled to unit output variance.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020),
section 2.2, equations 1 and 3. The scales are applied to activations rather than to
weights: the same numbers, one convolution for the whole batch, no grouped copy.
At inference everything that depends on weights alone is prepared once, and a
transposed convolution is four small ones, one for each parity of row and column.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from mien.generators.layers import tiles
from mien.generators.layers.equalised import Linear
from mien.generators.layers.finish import Finish
from mien.generators.layers.kept import Keeping
from mien.generators.layers.resample import Filter
from mien.runtime import engine

TAPS = ((2, 0), (1,))  # of a 3-tap kernel that reach even and odd outputs at stride 2


class Modulated(Keeping):
    """[N, inputs, H, W] and w [N, D] -> [N, outputs, H, W], or twice that size.

    up: the filter that smooths a stride-2 transposed 3x3 convolution; None keeps the size.
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

    def forward(
        self, x: torch.Tensor, w: torch.Tensor, bias: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Equations 1 and 3, on activations, and a bias [outputs]."""
        if engine.is_reading():
            return self._traced(x, w, bias)
        styles = self.style(w)
        x = self._convolve(x * _spatial(styles, x))
        offset = None if bias is None else bias.to(x.dtype)[:, None, None]
        if not self.demodulate:
            return x if offset is None else x + offset
        scale = _spatial(self.rescale(styles), x)
        return x * scale if offset is None else torch.addcmul(offset, x, scale)

    def _traced(self, x: torch.Tensor, w: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """The same in operations that other engines fuse."""
        styles = self.style.maps(w)
        x = self._convolve(x * styles)
        if self.demodulate:
            power = F.conv2d(styles.square(), self._power()[:, :, None, None])
            x = x * torch.rsqrt(power + 1e-8)
        return x if bias is None else x + bias[:, None, None]

    def rescale(self, styles: torch.Tensor) -> torch.Tensor:
        """Styles [N, inputs] -> the factors [N, outputs] of equation 3."""
        with torch.autocast(styles.device.type, enabled=False):
            return torch.rsqrt(styles.square() @ self._power().t() + 1e-8)

    def infer(self, x: torch.Tensor, styles: torch.Tensor, finish: Finish) -> torch.Tensor:
        """x scaled by styles [N, inputs], convolved, and finished; nothing keeps a gradient."""
        if self.up is not None:
            return self._doubled(x, styles, finish)
        if tiles.suits(x, self.weight, tiles.SAME):
            kernel = self.kept(
                "tiles", lambda: tiles.transform(self.weight * self.scale, tiles.SAME)
            )
            return tiles.convolve(x, kernel, tiles.SAME, finish, styles)
        padding = self.side // 2
        if self._is_light(x):
            weight = _by_style(self.weight * self.scale, finish.scale.t() * styles, x)
            return finish.rest_of(F.conv2d(x, weight, finish.bias, padding=padding))
        weight = self.kept(f"weight {x.dtype}", lambda: _last(self.weight * self.scale, x))
        return finish.all_of(F.conv2d(x * _spatial(styles, x), weight, padding=padding))

    def _is_light(self, x: torch.Tensor) -> bool:
        """Whether it is cheaper to scale the weights for one face than its activations."""
        return len(x) == 1 and self.weight.numel() < x.numel() // 2

    def power(self) -> torch.Tensor:
        """Squares of the weights summed over taps, [outputs, inputs], prepared once."""
        return self.kept("power", self._power)

    def _power(self) -> torch.Tensor:
        return (self.weight * self.scale).square().sum((2, 3))

    def _convolve(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight * self.scale
        if self.up is None:
            return F.conv2d(x, weight, padding=self.side // 2)
        return self.up.behind_transposed(
            F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), self.side
        )

    def _doubled(self, x: torch.Tensor, styles: torch.Tensor, finish: Finish) -> torch.Tensor:
        assert self.up is not None
        count, _, height, width = x.shape
        light = self._is_light(x)
        x = x if light else x * _spatial(styles, x)
        out = x.new_empty(count, 2 * height + 1, 2 * width + 1, len(self.weight))
        for row in (0, 1):
            for column in (0, 1):
                weight = self._phase(row, column, x, styles if light else None)
                part = F.conv2d(x, weight, padding=(1 - row, 1 - column))
                out[:, row::2, column::2] = part.permute(0, 2, 3, 1)
        rough = out.permute(0, 3, 1, 2)
        if count > 1:
            return finish.all_of(self.up.behind_transposed(rough))
        smooth = self.up.behind_transposed(rough, 3, finish.scale[0], finish.bias)
        return finish.rest_of(smooth)

    def _phase(
        self, row: int, column: int, like: torch.Tensor, styles: torch.Tensor | None
    ) -> torch.Tensor:
        """The weights that reach outputs of this parity, scaled by `styles`, as `like`."""

        def make() -> torch.Tensor:
            return self.weight[:, :, TAPS[row]][:, :, :, TAPS[column]] * self.scale

        if styles is not None:
            return _by_style(make(), styles, like)
        return self.kept(f"phase {row} {column} {like.dtype}", lambda: _last(make(), like))


def _spatial(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """[N, C] -> [N, C, 1, 1] in the precision of `like`."""
    return values.to(like.dtype)[:, :, None, None]


def _last(weight: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return weight.detach().to(like.dtype).contiguous(memory_format=torch.channels_last)


def _by_style(weight: torch.Tensor, styles: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Weights times [outputs or 1, inputs], in the precision of `like`."""
    return _last(weight * styles.float()[:, :, None, None], like)

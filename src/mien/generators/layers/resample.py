"""Resampling by a separable FIR filter, zeros outside the image.

Zhang, "Making Convolutional Networks Shift-Invariant Again" (ICML 2019); the
paddings are those of StyleGAN2 (Karras et al., CVPR 2020), which puts the filter
behind a transposed convolution and before a strided one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

TAPS = (1.0, 3.0, 3.0, 1.0)
FEW = 4  # channels up to which doubling is a matrix product from either side


class Filter(nn.Module):
    """A low-pass filter with weights proportional to the outer product of `taps`."""

    def __init__(self, taps: tuple[float, ...] = TAPS) -> None:
        super().__init__()
        line = torch.tensor(taps) / sum(taps)
        self.register_buffer("line", line, persistent=False)
        self.register_buffer("kernel", line[:, None] * line[None], persistent=False)
        self.line: torch.Tensor
        self.kernel: torch.Tensor
        self.length = len(taps)

    def behind_transposed(
        self, x: torch.Tensor, side: int = 3, scale: torch.Tensor | None = None,
        bias: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """What a stride-2 transposed convolution gave -> smoothed, twice its input's size.

        scale, bias: [C], applied to the channels of the result.
        """
        odd = self.length - 1 - side
        kernel = self._repeated(x, 4.0)
        if scale is not None:
            kernel = kernel * scale[:, None, None, None]
        return _filter(x, kernel, ((odd + 1) // 2 + 1, odd // 2 + 1), bias=bias)

    def before_strided(self, x: torch.Tensor, side: int = 3) -> torch.Tensor:
        """Smoothed and padded so that a stride-2 convolution of `side` halves the size."""
        spare = self.length - 3 + side
        return _filter(x, self._repeated(x), ((spare + 1) // 2, spare // 2))

    def halved(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, C, H/2, W/2]."""
        spare = self.length - 2
        pad = (spare + 1) // 2, spare // 2
        if torch.is_grad_enabled():  # the gradient of a strided one is 20 times slower on CPU
            return _filter(x, self._repeated(x), pad)[:, :, ::2, ::2]
        return _filter(x, self._repeated(x), pad, stride=2)

    def doubled(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, C, 2H, 2W]."""
        if x.shape[1] <= FEW:
            with torch.autocast(x.device.type, enabled=False):
                return self._matrix(x, 2) @ x @ self._matrix(x, 3).t()
        kernel = self._repeated(x, 4.0).flip(2, 3)
        out = F.conv_transpose2d(x, kernel, stride=2, groups=x.shape[1])
        before, height, width = self.length // 2 - 1, 2 * x.shape[2], 2 * x.shape[3]
        return out[:, :, before : before + height, before : before + width]

    def _matrix(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        """[2H, H]: doubles one axis."""
        size = x.shape[axis]
        full = x.new_zeros(2 * size + self.length, size)
        column = torch.arange(size, device=x.device)
        for tap, weight in enumerate(self.line):
            full[2 * column + tap, column] = 2 * weight.to(x.dtype)
        before = self.length // 2 - 1
        return full[before : before + 2 * size]

    def _repeated(self, x: torch.Tensor, gain: float = 1.0) -> torch.Tensor:
        flipped = self.kernel.flip(0, 1).to(x.dtype) * gain  # convolution, not correlation
        return flipped.expand(x.shape[1], 1, self.length, self.length)


def _filter(
    x: torch.Tensor, kernel: torch.Tensor, pad: tuple[int, int], stride: int = 1,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:  # fmt: skip
    """Each channel by its kernel, after padding (before, after)."""
    if pad[0] != pad[1]:
        x, pad = F.pad(x, pad * 2), (0, 0)
    return F.conv2d(x, kernel, bias, stride, pad[0], groups=x.shape[1])

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


class Filter(nn.Module):
    """A low-pass filter with weights proportional to the outer product of `taps`."""

    def __init__(self, taps: tuple[float, ...] = TAPS) -> None:
        super().__init__()
        line = torch.tensor(taps) / sum(taps)
        self.register_buffer("kernel", line[:, None] * line[None], persistent=False)
        self.kernel: torch.Tensor
        self.length = len(taps)

    def behind_transposed(self, x: torch.Tensor, side: int = 3) -> torch.Tensor:
        """What a stride-2 transposed convolution gave -> smoothed, twice its input's size."""
        odd = self.length - 1 - side
        return self._blur(x, (odd + 1) // 2 + 1, odd // 2 + 1, gain=4.0)

    def before_strided(self, x: torch.Tensor, side: int = 3) -> torch.Tensor:
        """Smoothed and padded so that a stride-2 convolution of `side` halves the size."""
        spare = self.length - 3 + side
        return self._blur(x, (spare + 1) // 2, spare // 2)

    def halved(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, C, H/2, W/2]."""
        spare = self.length - 2
        return self._blur(x, (spare + 1) // 2, spare // 2, stride=2)

    def doubled(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, C, 2H, 2W]."""
        kernel = self._repeated(x, 4.0).flip(2, 3)
        out = F.conv_transpose2d(x, kernel, stride=2, groups=x.shape[1])
        before, height, width = self.length // 2 - 1, 2 * x.shape[2], 2 * x.shape[3]
        return out[:, :, before : before + height, before : before + width]

    def _blur(
        self, x: torch.Tensor, before: int, after: int, stride: int = 1, gain: float = 1.0
    ) -> torch.Tensor:
        kernel = self._repeated(x, gain)
        if before == after:
            return F.conv2d(x, kernel, None, stride, before, groups=x.shape[1])
        return F.conv2d(
            F.pad(x, (before, after, before, after)), kernel, None, stride, groups=x.shape[1]
        )

    def _repeated(self, x: torch.Tensor, gain: float) -> torch.Tensor:
        flipped = self.kernel.flip(0, 1).to(x.dtype) * gain  # convolution, not correlation
        return flipped.expand(x.shape[1], 1, self.length, self.length)

"""The 4x4 convolution of stride 2 that halves a map, and its transpose.

At small maps the weights are most of the work, which convolution kernels for CPUs do
slowly: 4 times slower backwards than the same sum written as one matrix product.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

SMALL = 8  # px of a map's side up to which the matrix product was faster


class Halving(nn.Conv2d):
    """Conv2d(inputs, outputs, 4, 2, 1), with the transpose that its gradient is."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, S, S], S even -> [N, C', S/2, S/2]."""
        if x.shape[2] > SMALL or x.shape[2] != x.shape[3]:
            return super().forward(x)
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
        patches = padded.unfold(1, 4, 2).unfold(2, 4, 2).permute(0, 1, 2, 4, 5, 3).flatten(3)
        return F.linear(patches, self._matrix(), self.bias).permute(0, 3, 1, 2)

    def spread(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C', S/2, S/2] -> [N, C, S, S], without bias: the gradient of `forward`'s sums."""
        count, _, height, width = x.shape
        if 2 * height > SMALL or height != width:
            return F.conv_transpose2d(x, self.weight, stride=2, padding=1)
        patches = F.linear(x.permute(0, 2, 3, 1), self._matrix().t())  # [N, S/2, S/2, 4 * 4 * C]
        columns = patches.view(count, height * width, 16, -1).permute(0, 3, 2, 1).flatten(1, 2)
        return F.fold(columns, (2 * height, 2 * width), 4, padding=1, stride=2)

    def _matrix(self) -> torch.Tensor:
        """The weights as [C', 4 * 4 * C]; a view where they are channels_last."""
        return self.weight.permute(0, 2, 3, 1).flatten(1)

"""From a feature map to one style: convolutions that halve until one place is left."""

from __future__ import annotations

import math

import torch
from torch import nn

from mien.generators.layers.equalised import Linear

SLOPE = 0.01  # of the leaky rectifiers, as published


class GradualStyle(nn.Module):
    """A map [N, C, side, side] to a style [N, D] (pSp's map2style block).

    Richardson et al., "Encoding in Style" (CVPR 2021), section 3.
    """

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(int(math.log2(side))):
            layers += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.LeakyReLU(SLOPE)]
            inputs = outputs
        self.convs = nn.Sequential(*layers)
        self.linear = Linear(outputs, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, side, side] -> [N, D], fp32."""
        style: torch.Tensor = self.linear(self.convs(x).flatten(1))
        return style

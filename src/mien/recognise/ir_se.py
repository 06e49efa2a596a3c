"""IR-SE: the residual trunk with squeeze and excitation that ArcFace, pSp and e4e share.

Deng et al., "ArcFace" (CVPR 2019), with the residual unit of its section 3.1
and Hu et al., "Squeeze-and-Excitation Networks" (CVPR 2018). State-dict keys
are those of the published weights (`input_layer.*`, `body.<n>.*`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class TrunkShape:
    """Channels of the stem and of the four stages, and units a stage; IR-SE50 by default."""

    widths: tuple[int, int, int, int, int] = (64, 64, 128, 256, 512)
    units: tuple[int, int, int, int] = (3, 4, 14, 3)
    squeeze: int = 16  # channels over the excitation's hidden ones

    @property
    def ends(self) -> tuple[int, ...]:
        """How many units end the first, second, third and fourth stage."""
        return tuple(sum(self.units[: stage + 1]) for stage in range(len(self.units)))


class Excitation(nn.Module):
    """Every channel times a gate in (0, 1) computed from all channels' means."""

    def __init__(self, channels: int, squeeze: int) -> None:
        super().__init__()
        hidden = max(channels // squeeze, 1)
        self.fc1 = nn.Conv2d(channels, hidden, 1, bias=False)
        self.fc2 = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> the same shape."""
        hidden = self.fc1(x.mean((2, 3), keepdim=True)).relu()
        gated: torch.Tensor = x * self.fc2(hidden).sigmoid()
        return gated


class Unit(nn.Module):
    """Normalisation, convolution, PReLU, strided convolution, normalisation, excitation; added."""

    def __init__(self, inputs: int, outputs: int, stride: int, squeeze: int) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module = nn.MaxPool2d(1, stride)
        if inputs != outputs:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            Excitation(outputs, squeeze),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, inputs, H, W] -> [N, outputs, H / stride, W / stride]."""
        added: torch.Tensor = self.res_layer(x) + self.shortcut_layer(x)
        return added


class Trunk(nn.Module):
    """Faces to feature maps after the second, third and fourth stage."""

    def __init__(self, shape: TrunkShape) -> None:
        super().__init__()
        stem, *widths = shape.widths
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, stem, 3, 1, 1, bias=False), nn.BatchNorm2d(stem), nn.PReLU(stem)
        )
        units: list[nn.Module] = []
        inputs = stem
        for width, count in zip(widths, shape.units, strict=True):
            for number in range(count):
                units.append(Unit(inputs, width, 1 if number else 2, shape.squeeze))
                inputs = width
        self.body = nn.Sequential(*units)
        self.taps = shape.ends[1:]

    def features(self, faces: torch.Tensor) -> list[torch.Tensor]:
        """[N, 3, S, S] in [-1, 1] -> three maps, their sides S / 4, S / 8 and S / 16."""
        x = self.input_layer(faces)
        found = []
        for number, unit in enumerate(self.body, 1):
            x = unit(x)
            if number in self.taps:
                found.append(x)
        return found

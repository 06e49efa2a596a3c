"""pSp: one independent style for every layer of a StyleGAN.

Richardson et al., "Encoding in Style: a StyleGAN Encoder for Image-to-Image
Translation" (CVPR 2021), and the two simpler encoders it is compared with. All
give differences from the generator's average style.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from mien.encoders._inverter import Inverter, open_network
from mien.encoders._pyramid import Architecture, Pyramid
from mien.generators.layers.equalised import Linear
from mien.recognise.ir_se import Trunk

POOLED = 7  # side that the last map is averaged to before `IntoRows` reads it

__all__ = ["Architecture", "Encoder", "IntoRows", "IntoW", "open_inverter"]


class Encoder(Pyramid):
    """GradualStyleEncoder: every style from its own block."""

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """[N, 3, S, S] in [-1, 1] -> w+ minus the average [N, L, D], fp32."""
        maps = self.maps(faces)
        return torch.stack([self.read(style, maps) for style in range(len(self.styles))], 1)


class IntoW(Trunk):
    """BackboneEncoderUsingLastLayerIntoW: one style from the mean of the last map."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__(shape.trunk)
        self.linear = Linear(shape.trunk.widths[-1], shape.latent)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """[N, 3, S, S] in [-1, 1] -> w minus the average [N, D], fp32."""
        style: torch.Tensor = self.linear(self.features(faces)[-1].mean((2, 3)))
        return style


class IntoRows(Trunk):
    """BackboneEncoderUsingLastLayerIntoWPlus: all styles from the last map at 7x7."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__(shape.trunk)
        last = shape.trunk.widths[-1]
        self.output_layer_2 = nn.Sequential(
            nn.BatchNorm2d(last),
            nn.AdaptiveAvgPool2d(POOLED),
            nn.Flatten(),
            nn.Linear(last * POOLED * POOLED, shape.latent),
        )
        self.linear = Linear(shape.latent, shape.latent * shape.styles)
        self.rows = shape.styles, shape.latent

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """[N, 3, S, S] in [-1, 1] -> w+ minus the average [N, L, D], fp32."""
        hidden = self.output_layer_2(self.features(faces)[-1])
        styles: torch.Tensor = self.linear(hidden).unflatten(1, self.rows)
        return styles


def open_inverter(folder: Path, average: torch.Tensor) -> Inverter:
    """The encoder of a model folder, of any of the three kinds.

    average: w [D] of the generator it belongs to. Raises BadModel when its tensors
    do not fit its card.
    """
    kinds = {"styles": Encoder, "w": IntoW, "rows": IntoRows}
    return Inverter(*open_network(folder, kinds), average)

"""e4e: one style for all layers, and a small difference for each.

Tov et al., "Designing an Encoder for StyleGAN Image Manipulation" (SIGGRAPH
2021), section 4: differences are learned one after the other, each stage adding
a layer, so that codes stay near the styles that the generator knows, where edits
work.
"""

from __future__ import annotations

from pathlib import Path

import torch

from mien.encoders._inverter import Inverter, open_network
from mien.encoders._pyramid import Architecture, Pyramid

__all__ = ["Architecture", "Encoder", "open_inverter"]


class Encoder(Pyramid):
    """Encoder4Editing; `stage` is how many differences are learned, all of them when finished."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__(shape)
        self.stage = shape.styles - 1

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """[N, 3, S, S] in [-1, 1] -> w+ minus the average [N, L, D], fp32."""
        maps = self.maps(faces)
        first = self.read(0, maps)
        styles = [first] * len(self.styles)
        for number in range(1, min(self.stage, len(styles) - 1) + 1):
            styles[number] = first + self.read(number, maps)
        return torch.stack(styles, 1)


def open_inverter(folder: Path, average: torch.Tensor) -> Inverter:
    """The encoder of a model folder at its training's stage.

    average: w [D] of the generator it belongs to. Raises BadModel when its tensors
    do not fit its card.
    """
    network, card = open_network(folder, {"styles": Encoder})
    network.stage = card["stage"]
    return Inverter(network, card, average)

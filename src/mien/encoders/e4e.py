"""e4e: one style for all layers, and a small difference for each.

Tov et al., "Designing an Encoder for StyleGAN Image Manipulation" (SIGGRAPH
2021), section 4: differences are learned one after the other, each stage adding
a layer, so that codes stay near the styles that the generator knows, where edits
work.
"""

from __future__ import annotations

import torch

from mien.encoders._pyramid import Architecture, Pyramid

__all__ = ["Architecture", "Encoder"]


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

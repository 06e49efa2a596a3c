"""The encoder that pSp and e4e share: a trunk, a feature pyramid and one block a style.

Richardson et al., "Encoding in Style" (CVPR 2021), figure 2: coarse styles read
the trunk's last maps, middle and fine ones the maps of the stages before it,
each with what is coarser added. State-dict keys are those of the published files.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

from mien.encoders._styles import GradualStyle
from mien.recognise.ir_se import Trunk, TrunkShape

MIDDLE, FINE = 3, 7  # the first style that reads the finer map


@dataclass(frozen=True)
class Architecture:
    """Sizes of an encoder; the published ones by default."""

    size: int = 256  # px of the faces it reads
    styles: int = 18  # of the generator: 2 log2(its size) - 2
    latent: int = 512
    trunk: TrunkShape = field(default_factory=TrunkShape)

    @property
    def sides(self) -> list[int]:
        """Of the map that every style reads."""
        coarse = self.size // 16
        return [
            coarse if style < MIDDLE else 2 * coarse if style < FINE else 4 * coarse
            for style in range(self.styles)
        ]


class Pyramid(Trunk):
    """Faces to the maps that styles are read from, and the blocks that read them."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__(shape.trunk)
        fine, middle, coarse = shape.trunk.widths[2:]
        self.latlayer1 = nn.Conv2d(middle, coarse, 1)
        self.latlayer2 = nn.Conv2d(fine, coarse, 1)
        self.styles = nn.ModuleList(
            GradualStyle(coarse, shape.latent, side) for side in shape.sides
        )

    def maps(self, faces: torch.Tensor) -> list[torch.Tensor]:
        """[N, 3, S, S] in [-1, 1] -> coarse, middle and fine maps, each twice the one before."""
        fine, middle, coarse = self.features(faces)
        second = _above(coarse, self.latlayer1(middle))
        return [coarse, second, _above(second, self.latlayer2(fine))]

    def read(self, style: int, maps: list[torch.Tensor]) -> torch.Tensor:
        """Style number `style` [N, D] of the maps."""
        found: torch.Tensor = self.styles[style](maps[(style >= MIDDLE) + (style >= FINE)])
        return found


def _above(coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
    """The coarse map at the fine one's size, added to it; corners meet corners, as published."""
    size = fine.shape[2:]
    return F.interpolate(coarse, size=size, mode="bilinear", align_corners=True) + fine

"""ArcFace's network, whose embedding pSp and e4e keep while they train.

Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition"
(CVPR 2019). No weights of it come with mien: users who have the published
`model_ir_se50.pth` load it here.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from mien.recognise._published import filled
from mien.recognise.ir_se import Trunk, TrunkShape

SIZE = 112  # px the network reads
WIDTH = 512  # of an embedding
ROWS, COLUMNS = (35, 223), (32, 220)  # of the face in an FFHQ frame of 256 px


class ArcFace(Trunk):
    """Faces to embeddings; state-dict keys as published."""

    def __init__(self, shape: TrunkShape | None = None) -> None:
        shape = shape or TrunkShape()
        super().__init__(shape)
        last, side = shape.widths[-1], SIZE // 16
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(last),
            nn.Dropout(0.6),
            nn.Flatten(),
            nn.Linear(last * side * side, WIDTH),
            nn.BatchNorm1d(WIDTH),
        )

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """[N, 3, 112, 112] in [-1, 1] -> embeddings [N, 512] of unit length."""
        embedded: torch.Tensor = F.normalize(self.output_layer(self.features(faces)[-1]))
        return embedded


def open_arcface(path: Path) -> ArcFace:
    """The network with the weights of a published file, ready to run.

    Raises BadInput when there is no such file, BadModel when it holds other weights.
    """
    names = ("model_ir_se50.pth of ArcFace's weights", "ArcFace's IR-SE50")
    return filled(ArcFace(), path, names, dict)


def face_of(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures [N, 3, 256, 256] in FFHQ's frame -> their faces [N, 3, 112, 112], by means."""
    face = pictures[:, :, slice(*ROWS), slice(*COLUMNS)]
    return F.adaptive_avg_pool2d(face, SIZE)


def identity_loss(network: ArcFace, drawn: torch.Tensor, photos: torch.Tensor) -> torch.Tensor:
    """1 - the mean cosine of embeddings of [N, 3, 256, 256] drawn faces and their photos."""
    with torch.no_grad():
        wanted = network(face_of(photos))
    cosines: torch.Tensor = (network(face_of(drawn)) * wanted).sum(1)
    return 1 - cosines.mean()

"""ResNet-50 of MoCo v2, whose embedding pSp and e4e keep where pictures are not faces.

He et al., "Deep Residual Learning for Image Recognition" (CVPR 2016), the stride in the
3x3 convolutions; Chen et al., "Improved Baselines with Momentum Contrastive Learning"
(2020). No weights of it come with mien: users who have the published
`moco_v2_800ep_pretrain.pth.tar` load it here.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from mien.recognise._published import filled
from mien.recognise.imagenet import normalise

SIZE = 224  # px the network reads
UNITS = (3, 4, 6, 3)  # of ResNet-50's stages
EXPANSION = 4  # of a unit's last convolution
PREFIX, HEAD = "module.encoder_q.", "fc."  # of the keys read, and of those among them left out


class Unit(nn.Module):
    """1x1, 3x3 with the stride, 1x1 convolutions beside the identity or a projection."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, inputs, H, W] -> [N, 4 width, H/stride, W/stride]."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return F.relu(self.bn3(self.conv3(out)) + self.downsample(x))


class ResNet(nn.Module):
    """Pictures to embeddings; state-dict keys as torchvision's, without its classifier."""

    def __init__(self, units: tuple[int, ...] = UNITS, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.stages = [f"layer{number + 1}" for number in range(len(units))]
        inputs = width
        for number, (stage, count) in enumerate(zip(self.stages, units, strict=True)):
            inner, stride = width * 2**number, 1 if number == 0 else 2
            first = Unit(inputs, inner, stride)
            inputs = EXPANSION * inner
            others = [Unit(inputs, inner, 1) for _ in range(count - 1)]
            setattr(self, stage, nn.Sequential(first, *others))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """ImageNet-normalised [N, 3, H, W] -> embeddings [N, 2048] of unit length, fp32.

        The means of the last features over the picture, before MoCo's projection.
        """
        x = F.relu(self.bn1(self.conv1(pictures)))
        x = F.max_pool2d(x, 3, 2, 1)
        for stage in self.stages:
            x = self.get_submodule(stage)(x)
        return F.normalize(x.float().mean((2, 3)))


def open_moco(path: Path) -> ResNet:
    """ResNet-50 with the query encoder's weights of a published file, ready to run.

    Raises BadInput when there is no such file, BadModel when it holds other weights.
    """
    names = ("moco_v2_800ep_pretrain.pth.tar of MoCo", "MoCo's ResNet-50")
    return filled(ResNet(), path, names, _of_query)


def _of_query(content: dict[str, dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    items = content["state_dict"].items()
    ours = {key.removeprefix(PREFIX): value for key, value in items if key.startswith(PREFIX)}
    return {key: value for key, value in ours.items() if not key.startswith(HEAD)}


def view_of(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures [N, 3, S, S] in [-1, 1] -> what MoCo was trained on, [N, 3, 224, 224].

    pSp and e4e take the nearest pixels and leave them in [-1, 1]; MoCo was trained on
    smooth pictures with ImageNet's statistics, and so it reads them here.
    """
    if pictures.shape[-1] != SIZE:
        pictures = F.interpolate(pictures, (SIZE, SIZE), mode="bilinear", antialias=True)
    return normalise(pictures)


def similarity_loss(network: ResNet, drawn: torch.Tensor, photos: torch.Tensor) -> torch.Tensor:
    """1 - the mean cosine of embeddings of drawn pictures [N, 3, S, S] in [-1, 1] and photos."""
    with torch.no_grad():
        wanted = network(view_of(photos))
    cosines: torch.Tensor = (network(view_of(drawn)) * wanted).sum(1)
    return 1 - cosines.mean()

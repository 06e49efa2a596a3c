"""PGGAN: a generator that grew, and its discriminator.

Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and
Variation" (ICLR 2018), table 2. Weights are stored with unit variance, as
published files do; convolutions behind a doubling are folded (layers/resized.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mien.errors import BadInput
from mien.generators._progressive import Critic, Discriminator, Grown, Shown, steps
from mien.generators._spaces import Painted, open_network
from mien.generators.layers.equalised import GAIN
from mien.generators.layers.labels import given
from mien.generators.layers.resized import Conv, Doubling, rectify
from mien.types import Latent

__all__ = ["PGGAN", "Architecture", "Critic", "Discriminator", "Generator", "open_space"]


@dataclass(frozen=True)
class Architecture(Shown):
    """Sizes of the generator; saved in the card, rebuilds it."""

    latent: int = 512  # D, of z
    labels: int = 0  # classes, for conditional models


class Start(nn.Module):
    """z [N, D] to features [N, C, 4, 4]: a dense layer."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16 * outputs, inputs))  # rows: y, x, channel
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = GAIN / math.sqrt(16 * inputs)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Normalised first, rectified last."""
        with torch.autocast(z.device.type, enabled=False):
            x = normalise(z.to(self.weight.dtype)) * self.scale @ self.weight.t()
            x = x.view(len(z), 4, 4, -1) + self.bias
        return rectify(x.permute(0, 3, 1, 2))


class Layer(nn.Module):
    """Normalise each pixel, convolve, rectify; `doubling` repeats each pixel 2x2 in between."""

    def __init__(self, inputs: int, outputs: int, doubling: bool) -> None:
        super().__init__()
        self.conv = (Doubling if doubling else Conv)(inputs, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, inputs, H, W] -> [N, outputs, H, W], or twice that size."""
        return rectify(self.conv(normalise(x)))


class Generator(Grown):
    """z [N, D] to faces [N, 3, size, size], not clipped."""

    shape: Architecture

    def __init__(self, shape: Architecture) -> None:
        start = Start(shape.latent + shape.labels, shape.channels[0])
        others = [Layer(*step) for step in islice(steps(shape.channels), 1, None)]
        super().__init__(shape, [start, *others], normalise)

    def forward(
        self, z: torch.Tensor, lod: float | None = None, labels: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Faces of z, whose length does not matter.

        lod: level of detail, 0 the full size, 1 half of it (enlarged), ...; None
        takes the stored one. labels: [N, classes] of a conditional model.
        """
        return self.shown(self.trace(z, labels), lod)

    def trace(self, z: torch.Tensor, labels: torch.Tensor | None = None) -> Iterator[torch.Tensor]:
        """Features at each level, coarse to fine."""
        if z.ndim != 2 or z.shape[1] != self.shape.latent:
            raise BadInput(f"z has shape {list(z.shape)}, expected [N, {self.shape.latent}]")
        x = self._labelled(normalise(z), labels)
        for number in range(0, len(self.layers), 2):
            x = self.layers[number + 1](self.layers[number](x))
            yield x

    @property
    def start(self) -> Start:
        """The first layer, the only one that reads z."""
        first = self.layers[0]
        assert isinstance(first, Start)
        return first

    def _labelled(self, z: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        if not self.shape.labels:
            return z
        return torch.cat([z, given(labels).to(z.dtype)], 1)


def normalise(x: torch.Tensor) -> torch.Tensor:
    """[N, C, ...] divided by the root mean square over the channels of each pixel, section 4.2."""
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    wide = length.to(torch.promote_types(x.dtype, torch.float32))
    return x * torch.rsqrt(wide.square() / x.shape[1] + 1e-8).to(x.dtype)


class PGGAN(Painted[Generator]):
    """The space of a PGGAN: latents are z [N, D] of root mean square 1."""

    space = "z"

    def __init__(self, network: Generator, card: dict[str, Any]) -> None:
        super().__init__(network, card, network)

    def sample(self, count: int, seed: int = 0, truncation: float = 1.0) -> Latent:
        """Directions drawn uniformly; `truncation` scales z, which changes no picture."""
        z = np.random.default_rng(seed).standard_normal((count, self.network.shape.latent))
        z *= truncation / np.sqrt(np.square(z).mean(1, keepdims=True))
        return Latent(z.astype(np.float32), self.space, self.mark)

    def style_weights(self) -> list[np.ndarray]:
        """The dense layer's matrix [16 C, D], for finders that factorise it."""
        return [self.network.start.weight.detach().numpy()]


def open_space(folder: Path) -> PGGAN:
    """Open the model folder of a generator; BadModel when its tensors do not fit."""
    return PGGAN(*open_network(folder, Architecture, Generator))

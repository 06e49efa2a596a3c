"""StyleGAN2: mapping, synthesis, discriminator.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020),
and "Training Generative Adversarial Networks with Limited Data" (NeurIPS 2020) for
the options clamp and labels. Weights are stored with unit variance, as published
files do; modulation acts on activations (layers/modulated.py).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from mien.errors import BadInput
from mien.generators._stylegan2_discriminator import Critic, Discriminator
from mien.generators._stylegan2_synthesis import Architecture, Noise, Synthesis
from mien.generators.layers.equalised import Linear, activate, normalise

__all__ = [
    "Architecture",
    "Critic",
    "Discriminator",
    "Generator",
    "Mapping",
    "Synthesis",
    "mix",
]


class Mapping(nn.Module):
    """z [N, D], and labels [N, classes] of a conditional model, to w [N, D]."""

    def __init__(self, z: int, w: int, shape: Architecture) -> None:
        super().__init__()
        self.embed = Linear(shape.labels, w) if shape.labels else None
        first = z + (w if shape.labels else 0)
        widths = [first, *[shape.hidden or w] * (shape.layers - 1), w]
        self.layers = nn.ModuleList(Linear(a, b, shape.rate) for a, b in pairwise(widths))

    def forward(self, z: torch.Tensor | None, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Rows of z are normalised first."""
        parts = [normalise(z)] if z is not None and z.shape[1] else []
        if self.embed is not None:
            if labels is None:
                raise BadInput("this model is conditional; give labels [N, classes]")
            parts.append(normalise(self.embed(labels)))
        x = torch.cat(parts, 1)
        for layer in self.layers:
            x = activate(layer(x))
        return x


class Generator(nn.Module):
    """Mapping, synthesis and the average w that truncation pulls towards."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.shape = shape
        self.mapping = Mapping(shape.latent if shape.z is None else shape.z, shape.latent, shape)
        self.synthesis = Synthesis(shape)
        self.register_buffer("average", torch.zeros(shape.latent))
        self.average: torch.Tensor

    def forward(
        self, z: torch.Tensor, truncation: float = 1.0, layers: int | None = None,
        noise: Noise = "random", labels: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """z [N, D] -> faces [N, 3, size, size]; see `styles` and Synthesis.forward."""
        faces: torch.Tensor = self.synthesis(self.styles(z, truncation, layers, labels), noise)
        return faces

    def styles(
        self, z: torch.Tensor, truncation: float = 1.0, layers: int | None = None,
        labels: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """z [N, D] -> w+ [N, L, D].

        truncation: the distance of w from the average is multiplied by it, in
        the first `layers` rows (None = all).
        """
        return self.truncate(self.spread(self.mapping(z, labels)), truncation, layers)

    def spread(self, w: torch.Tensor) -> torch.Tensor:
        """w [N, D] -> w+ [N, L, D] with equal rows."""
        return w[:, None].expand(-1, self.shape.styles, -1)

    def truncate(
        self, styles: torch.Tensor, truncation: float, layers: int | None = None
    ) -> torch.Tensor:
        """w+ [N, L, D] pulled towards the average in the first `layers` rows (None = all)."""
        if truncation == 1:
            return styles
        near = torch.lerp(self.average, styles, truncation)
        return near if layers is None else torch.cat([near[:, :layers], styles[:, layers:]], 1)


def mix(first: torch.Tensor, second: torch.Tensor, crossover: int) -> torch.Tensor:
    """w+ rows of `first` before `crossover`, of `second` from it on (section 3.1 of StyleGAN)."""
    return torch.cat([first[:, :crossover], second[:, crossover:]], 1)

"""StyleGAN2: mapping, synthesis, discriminator.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020),
and "Training Generative Adversarial Networks with Limited Data" (NeurIPS 2020) for
the options clamp and labels. Weights are stored with unit variance, as published
files do; modulation acts on activations (layers/modulated.py).
"""

from __future__ import annotations

import torch
from torch import nn

from mien.generators._stylegan2_discriminator import Discriminator
from mien.generators._stylegan2_shape import Architecture, Critic
from mien.generators._stylegan2_synthesis import Noise, Synthesis
from mien.generators.layers.mapping import Mapping

__all__ = [
    "Architecture",
    "Critic",
    "Discriminator",
    "Generator",
    "Mapping",
    "Synthesis",
    "mix",
]


class Generator(nn.Module):
    """Mapping, synthesis and the average w that truncation pulls towards."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.shape = shape
        self.mapping = Mapping(shape.mapping, shape.rate, shape.labels, shape.joint)
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

    @torch.no_grad()
    def estimate_average(self, count: int = 10_000, seed: int = 0) -> None:
        """Set `average` to the mean w of `count` samples, labels drawn evenly."""
        random = torch.Generator().manual_seed(seed)
        z = torch.randn(count, self.shape.mapping[0], generator=random)
        labels = None
        if self.shape.labels:
            drawn = torch.randint(self.shape.labels, (count,), generator=random)
            labels = torch.eye(self.shape.labels)[drawn]
        self.average.copy_(self.mapping(z, labels).mean(0))

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

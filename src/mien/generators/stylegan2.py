"""StyleGAN2: mapping, synthesis, discriminator, and the space w+ of a trained generator.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020),
and "Training Generative Adversarial Networks with Limited Data" (NeurIPS 2020) for
the options clamp and labels. Weights are stored with unit variance, as published
files do; modulation acts on activations (layers/modulated.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mien.generators._spaces import Painted, draw, mix, open_network, truncation_of
from mien.generators._stylegan2_discriminator import Discriminator
from mien.generators._stylegan2_shape import Architecture, Critic
from mien.generators._stylegan2_synthesis import Synthesis
from mien.generators.layers.mapping import Mapping, truncate
from mien.generators.layers.noise import Noise
from mien.types import Latent

__all__ = [
    "Architecture",
    "Critic",
    "Discriminator",
    "Generator",
    "Mapping",
    "StyleGAN2",
    "Synthesis",
    "mix",
    "open_space",
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
        self, styles: torch.Tensor, truncation: float | torch.Tensor, layers: int | None = None
    ) -> torch.Tensor:
        """w+ [N, L, D] pulled towards the average in the first `layers` rows (None = all)."""
        return truncate(styles, self.average, truncation, layers)


class StyleGAN2(Painted[Generator]):
    """The space of a StyleGAN2: latents are w+ [N, L, D]."""

    space = "w+"

    def __init__(self, network: Generator, card: dict[str, Any]) -> None:
        super().__init__(network, card, network.synthesis)
        self.truncation = truncation_of(card, network.shape.styles)

    @torch.inference_mode()
    def sample(self, count: int, seed: int = 0, truncation: float = 1.0) -> Latent:
        """Latents with equal rows but for truncation.

        truncation: multiplies the distance from the average w, on top of the card's.
        """
        styles = self.network.styles(draw(count, self.network.shape.mapping[0], seed))
        if self.truncation is not None:
            styles = self.network.truncate(styles, self.truncation)
        styles = self.network.truncate(styles, truncation)
        return Latent(styles.contiguous().numpy(), self.space, self.mark)

    def style_weights(self) -> list[np.ndarray]:
        """A matrix [C, D] a row of a latent, for finders that factorise them.

        The last row moves the last picture layer alone; other picture layers
        share their row with a convolution, whose matrix stands for both.
        """
        network = self.network.synthesis
        rows: list[Any] = [*network.layers, network.colours[-1]]
        return [row.conv.style.weight.detach().numpy() for row in rows]


def open_space(folder: Path) -> StyleGAN2:
    """Open the model folder of a generator; BadModel when its tensors do not fit."""
    return StyleGAN2(*open_network(folder, Architecture, Generator))

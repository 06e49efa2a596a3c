"""StyleGAN: mapping, synthesis, discriminator.

Karras et al., "A Style-Based Generator Architecture for Generative Adversarial
Networks" (CVPR 2019), section 2. Weights are stored with unit variance, as
published files do; the mapping's biases are stored divided by sqrt(2), because
its rectifier scales its output where the original scales its weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mien.generators._progressive import Critic, Discriminator
from mien.generators._spaces import Painted, draw, mix, open_network, truncation_of
from mien.generators._stylegan_synthesis import Architecture, Synthesis
from mien.generators.layers.mapping import Mapping, truncate
from mien.generators.layers.noise import Noise
from mien.types import Latent

__all__ = [
    "Architecture",
    "Critic",
    "Discriminator",
    "Generator",
    "Mapping",
    "StyleGAN",
    "Synthesis",
    "mix",
    "open_space",
]

Truncation = float | Sequence[float] | None


class Generator(nn.Module):
    """Mapping, synthesis, the average w and the model's own truncation towards it."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.shape = shape
        self.mapping = Mapping(shape.mapping, shape.rate, shape.labels, joint=True)
        self.synthesis = Synthesis(shape)
        self.register_buffer("average", torch.zeros(shape.latent))
        self.register_buffer("truncation", torch.ones(shape.styles))
        self.average: torch.Tensor
        self.truncation: torch.Tensor

    def forward(
        self, z: torch.Tensor, truncation: Truncation = None, layers: int | None = None,
        noise: Noise = "random", labels: torch.Tensor | None = None, lod: float | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """z [N, D] -> faces [N, 3, size, size]; see `styles` and Synthesis.forward."""
        styles = self.styles(z, truncation, layers, labels)
        faces: torch.Tensor = self.synthesis(styles, noise, lod)
        return faces

    def styles(
        self, z: torch.Tensor, truncation: Truncation = None, layers: int | None = None,
        labels: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """z [N, D] -> w+ [N, L, D], truncated."""
        return self.truncate(self.spread(self.mapping(z, labels)), truncation, layers)

    def spread(self, w: torch.Tensor) -> torch.Tensor:
        """w [N, D] -> w+ [N, L, D] with equal rows."""
        return w[:, None].expand(-1, self.shape.styles, -1)

    def truncate(
        self, styles: torch.Tensor, truncation: Truncation = None, layers: int | None = None
    ) -> torch.Tensor:
        """w+ [N, L, D] whose distance from the average is multiplied by `truncation`.

        truncation: one number, one a row, or None for the model's own (1 unless
        its file says otherwise). layers: how many rows from the first (None = all).
        """
        factors = self.truncation if truncation is None else truncation
        return truncate(styles, self.average, factors, layers)


class StyleGAN(Painted[Generator]):
    """The space of a StyleGAN: latents are w+ [N, L, D]."""

    space = "w+"

    def __init__(self, network: Generator, card: dict[str, Any]) -> None:
        super().__init__(network, card, network.synthesis)
        factors = truncation_of(card, network.shape.styles)
        if factors is not None:
            network.truncation = factors

    @torch.inference_mode()
    def sample(self, count: int, seed: int = 0, truncation: float = 1.0) -> Latent:
        """Latents with equal rows but for truncation.

        truncation: multiplies the distance from the average w, on top of the
        model's own truncation (the card's, else the one stored with its weights).
        """
        z = draw(count, self.network.shape.mapping[0], seed)
        styles = self.network.styles(z, (self.network.truncation * truncation).tolist())
        return Latent(styles.contiguous().numpy(), self.space, self.mark)

    def style_weights(self) -> list[np.ndarray]:
        """A matrix [2C, D] a row of a latent, for finders that factorise them."""
        return [matrix.detach().numpy() for matrix in self.network.synthesis.style_weights()]


def open_space(folder: Path) -> StyleGAN:
    """Open the model folder of a generator; BadModel when its tensors do not fit."""
    return StyleGAN(*open_network(folder, Architecture, Generator))

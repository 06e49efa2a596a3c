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

from mien.checkpoint import mark
from mien.errors import BadInput
from mien.generators._spaces import decode_in_batches, open_network, refuse_to_encode
from mien.generators._stylegan2_discriminator import Discriminator
from mien.generators._stylegan2_shape import Architecture, Critic
from mien.generators._stylegan2_synthesis import Noise, Synthesis
from mien.generators.layers.mapping import Mapping
from mien.types import Latent, check_same_space

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


class StyleGAN2:
    """The space of a StyleGAN2: latents are w+ [N, L, D]."""

    space = "w+"

    def __init__(self, network: Generator, card: dict[str, Any]) -> None:
        if network.shape.labels:
            raise BadInput(f"{card['name']} is conditional; use its Generator with labels")
        self.network = network.eval()
        self.card, self.mark = card, mark(card)
        self.size, self.frame = network.shape.size, card["input"]["frame"]
        self.truncation, self.truncated = _truncation(card.get("truncation"))

    def encode(self, faces: np.ndarray) -> Latent:
        """Always raises BadInput: there is no encoder."""
        raise refuse_to_encode(self.card["name"])

    def decode(self, latent: Latent) -> np.ndarray:
        """Faces float32 [N, 3, size, size], clipped to [-1, 1], with the stored noise.

        Raises SpaceMismatch for a latent of another model.
        """
        check_same_space(
            "the latent", (latent.space, latent.model), "this model", (self.space, self.mark)
        )
        return decode_in_batches(latent.values, self.size, self.network.synthesis)

    @torch.inference_mode()
    def sample(self, count: int, seed: int = 0, truncation: float = 1.0) -> Latent:
        """Latents with equal rows but for truncation.

        truncation: multiplies the distance from the average w, on top of the card's.
        """
        width = self.network.shape.mapping[0]
        z = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
        styles = self.network.spread(self.network.mapping(torch.from_numpy(z)))
        styles = self.network.truncate(styles, self.truncation, self.truncated)
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


def _truncation(stored: Any) -> tuple[float, int | None]:
    """A card's number, or {"psi": number, "layers": rows from the first, None for all}."""
    if isinstance(stored, dict):
        return float(stored["psi"]), stored.get("layers")
    return (1.0 if stored is None else float(stored)), None


def open_space(folder: Path) -> StyleGAN2:
    """Open the model folder of a generator; BadModel when its tensors do not fit."""
    return StyleGAN2(*open_network(folder, Architecture, Generator))

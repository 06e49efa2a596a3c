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

from mien.checkpoint import mark
from mien.errors import BadInput
from mien.generators._progressive import Critic, Discriminator
from mien.generators._spaces import decode_in_batches, open_network, refuse_to_encode
from mien.generators._stylegan_synthesis import Architecture, Noise, Synthesis
from mien.generators.layers.mapping import Mapping
from mien.types import Latent, check_same_space

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
        factors = self.truncation if truncation is None else torch.as_tensor(truncation)
        factors = factors.to(styles).expand(self.shape.styles).clone()
        factors[len(factors) if layers is None else layers :] = 1
        if bool((factors == 1).all()):
            return styles
        return torch.lerp(self.average, styles, factors[:, None])


def mix(first: torch.Tensor, second: torch.Tensor, crossover: int) -> torch.Tensor:
    """w+ rows of `first` before `crossover`, of `second` from it on (section 3.1)."""
    return torch.cat([first[:, :crossover], second[:, crossover:]], 1)


class StyleGAN:
    """The space of a StyleGAN: latents are w+ [N, L, D]."""

    space = "w+"

    def __init__(self, network: Generator, card: dict[str, Any]) -> None:
        if network.shape.labels:
            raise BadInput(f"{card['name']} is conditional; use its Generator with labels")
        self.network = network.eval()
        self.card, self.mark = card, mark(card)
        self.size, self.frame = network.shape.size, card["input"]["frame"]
        if card.get("truncation") is not None:
            network.truncation = _factors(card["truncation"], network.shape.styles)

    def encode(self, faces: np.ndarray) -> Latent:
        """Always raises BadInput: there is no encoder."""
        raise refuse_to_encode(self.card["name"])

    def decode(self, latent: Latent) -> np.ndarray:
        """Faces float32 [N, 3, size, size], clipped to [-1, 1], with the stored noise."""
        check_same_space(
            "the latent", (latent.space, latent.model), "this model", (self.space, self.mark)
        )
        return decode_in_batches(latent.values, self.size, self.network.synthesis)

    @torch.inference_mode()
    def sample(self, count: int, seed: int = 0, truncation: float = 1.0) -> Latent:
        """Latents with equal rows but for truncation.

        truncation: multiplies the distance from the average w, on top of the
        model's own truncation (the card's, else the one stored with its weights).
        """
        width = self.network.shape.mapping[0]
        z = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
        factors = (self.network.truncation * truncation).tolist()
        styles = self.network.styles(torch.from_numpy(z), factors)
        return Latent(styles.contiguous().numpy(), self.space, self.mark)

    def style_weights(self) -> list[np.ndarray]:
        """A matrix [2C, D] a row of a latent, for finders that factorise them."""
        return [matrix.detach().numpy() for matrix in self.network.synthesis.style_weights()]


def _factors(stored: Any, rows: int) -> torch.Tensor:
    """One factor a row of a card's number or {"psi": number, "layers": rows from the first}."""
    options = stored if isinstance(stored, dict) else {"psi": stored}
    factors = torch.full((rows,), float(options["psi"]))
    factors[rows if options.get("layers") is None else options["layers"] :] = 1
    return factors


def open_space(folder: Path) -> StyleGAN:
    """Open the model folder of a generator; BadModel when its tensors do not fit."""
    return StyleGAN(*open_network(folder, Architecture, Generator))

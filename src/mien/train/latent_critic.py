"""The discriminator of styles that keeps an encoder's codes among the generator's own.

Tov et al., "Designing an Encoder for StyleGAN Image Manipulation" (SIGGRAPH
2021), sections 4.2 and 4.3: an encoder's styles should look like mapped random
numbers, and differ little from one layer to the next.
"""

from __future__ import annotations

import random
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

SLOPE = 0.2  # of the leaky rectifiers
POOL = 50  # styles remembered


class LatentCritic(nn.Module):
    """Styles [N, D] to logits [N, 1], positive for the generator's own; `depth` linear layers."""

    def __init__(self, latent: int = 512, depth: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(depth - 1):
            layers += [nn.Linear(latent, latent), nn.LeakyReLU(SLOPE)]
        self.mlp = nn.Sequential(*layers, nn.Linear(latent, 1))

    def forward(self, styles: torch.Tensor) -> torch.Tensor:
        """[N, D] -> [N, 1]."""
        logits: torch.Tensor = self.mlp(styles)
        return logits


class Pool:
    """Remembers styles, so that the discriminator judges older ones too.

    Shrivastava et al., "Learning from Simulated and Unsupervised Images through
    Adversarial Training" (CVPR 2017), section 2.3. Of every w+ one random row
    is taken. `random` is its own, so that a run repeats.
    """

    def __init__(self, size: int = POOL, seed: int = 0) -> None:
        self.size = size
        self.random = random.Random(seed)
        self.styles: list[torch.Tensor] = []

    def query(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes [N, L, D] -> styles [N, D]: new ones, or older ones that they replace."""
        rows = (row[self.random.randint(0, len(row) - 1)] for row in codes)
        return torch.stack([self._exchange(row) for row in rows])

    def state_dict(self) -> dict[str, Any]:
        """What is remembered, and where the random numbers stand."""
        return {"styles": list(self.styles), "random": self.random.getstate()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        version, numbers, ahead = saved["random"]
        self.styles = list(saved["styles"])
        self.random.setstate((version, tuple(numbers), ahead))

    def _exchange(self, style: torch.Tensor) -> torch.Tensor:
        if len(self.styles) < self.size:
            self.styles.append(style)
            return style
        if self.random.uniform(0, 1) <= 0.5:
            return style
        place = self.random.randint(0, self.size - 1)
        older, self.styles[place] = self.styles[place], style
        return older


def active_rows(codes: torch.Tensor, stage: int) -> torch.Tensor:
    """The rows of codes [N, L, D] that are learned at a stage: the first and `stage` more."""
    return codes[:, : stage + 1]


def seem_own(critic: LatentCritic, codes: torch.Tensor) -> torch.Tensor:
    """The encoder's side of the game: softplus(-logit), the mean over rows [N, L, D]."""
    return F.softplus(-critic(codes.flatten(0, 1))).mean()


def deltas(codes: torch.Tensor) -> torch.Tensor:
    """Mean distances [L - 1] of every later row of codes [N, L, D] from the first."""
    lengths: torch.Tensor = torch.linalg.vector_norm(codes[:, 1:] - codes[:, :1], dim=2)
    return lengths.mean(0)


def far_from(codes: torch.Tensor, average: torch.Tensor | None = None) -> torch.Tensor:
    """Mean norm of codes [N, L, D], minus the generator's average where it is given (pSp)."""
    apart = codes if average is None else codes - average
    lengths: torch.Tensor = torch.linalg.vector_norm(apart.flatten(1), dim=1)
    return lengths.mean()

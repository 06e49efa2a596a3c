"""Differentiable augmentation of what a discriminator sees, fixed or adaptive.

Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training"
(NeurIPS 2020): colour, translation, cutout, on photos and samples alike, so
that the generator learns the faces and not their augmentation. Adaptive: Karras
et al., "Training GANs with Limited Data" (NeurIPS 2020): each is applied with a
probability that follows how surely the discriminator tells train photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

SHIFT = 0.125  # of the side
HOLE = 0.5  # of the side


def diff_augment(faces: torch.Tensor, random: torch.Generator, share: float = 1.0) -> torch.Tensor:
    """Faces [N, 3, S, S] with changed colour, shifted and with a hole, each on a random `share`.

    share: probability in [0, 1]; 0 gives the faces back.
    """
    if share <= 0:
        return faces
    return _cutout(_translate(_colour(faces, random, share), random, share), random, share)


def _chosen(count: int, share: float, random: torch.Generator) -> torch.Tensor:
    """float [count, 1, 1, 1]: 1 with probability `share`."""
    return (torch.rand(count, 1, 1, 1, generator=random) < share).float()


def _colour(faces: torch.Tensor, random: torch.Generator, share: float) -> torch.Tensor:
    """Brightness +-0.5, saturation by 0 to 2, contrast by 0.5 to 1.5."""
    light, saturation, contrast = torch.rand(3, len(faces), 1, 1, 1, generator=random)
    on = _chosen(len(faces), share, random)
    x = faces + on * (light - 0.5)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (1 + on * (2 * saturation - 1))
    level = x.mean(dim=(1, 2, 3), keepdim=True)
    out: torch.Tensor = level + (x - level) * (1 + on * (contrast - 0.5))
    return out


def _translate(faces: torch.Tensor, random: torch.Generator, share: float) -> torch.Tensor:
    """Shift by whole pixels up to an eighth of the side, zeros moving in."""
    side = faces.shape[2]
    reach = round(side * SHIFT)
    moves = torch.randint(-reach, reach + 1, (len(faces), 2), generator=random)
    moves = moves * _chosen(len(faces), share, random).long().view(-1, 1)
    padded = F.pad(faces, [reach] * 4)
    shifted = [
        face[:, reach + down : reach + down + side, reach + right : reach + right + side]
        for face, (down, right) in zip(padded, moves.tolist(), strict=True)
    ]
    return torch.stack(shifted)


def _cutout(faces: torch.Tensor, random: torch.Generator, share: float) -> torch.Tensor:
    """Zero a square of half the side, centred anywhere."""
    side = faces.shape[2]
    reach = side * HOLE / 2
    centre = torch.rand(2, len(faces), 1, 1, 1, generator=random) * side
    on = _chosen(len(faces), share, random)
    place = torch.arange(side) + 0.5
    down = ((place.view(1, 1, -1, 1) - centre[0]).abs() < reach).float()
    across = ((place.view(1, 1, 1, -1) - centre[1]).abs() < reach).float()
    return faces * (1 - on * down * across)


@dataclass
class Adaptive:
    """The probability of augmenting, moved so that sign(logits of photos) averages `target`.

    When the discriminator is surer than that it overfits, and the share grows.
    """

    share: float = 0.0
    target: float = 0.6
    reach: float = 500_000  # faces in which the share may go from 0 to 1
    limit: float = 0.8  # above it augmentation leaks into the samples

    def update(self, real: Sequence[torch.Tensor], faces: int) -> None:
        """Move by the logits of `faces` photos since the last call."""
        sure = torch.stack([x.detach().sign().float().mean() for x in real]).mean().item()
        step = faces / self.reach
        moved = self.share + (step if sure > self.target else -step)
        self.share = min(max(moved, 0.0), self.limit)

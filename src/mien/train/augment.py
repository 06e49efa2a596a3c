"""Augmentation of face batches with random numbers from one generator."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def flip(faces: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Mirror half of the faces [N, 3, S, S]."""
    chosen = torch.rand(len(faces), 1, 1, 1, generator=random) < 0.5
    return torch.where(chosen, faces.flip(3), faces)


def jitter_frame(faces: torch.Tensor, random: torch.Generator, amount: float) -> torch.Tensor:
    """Random shift, zoom and turn of each face, each up to `amount` (0.08 = 8 %, 0.08 rad)."""
    return move_frame(faces, frames(len(faces), random, amount))


def frames(count: int, random: torch.Generator, amount: float) -> torch.Tensor:
    """The random frames [N, 2, 3] of `jitter_frame`, as `move_frame` takes them."""
    shift, zoom, turn = (
        (torch.rand(count, width, generator=random) * 2 - 1) * amount for width in (2, 1, 1)
    )
    scale, sine = 1 + zoom, torch.sin(turn)
    cosine = torch.cos(turn) * scale
    return torch.stack(
        [
            torch.cat([cosine, -sine * scale, shift[:, :1]], dim=1),
            torch.cat([sine * scale, cosine, shift[:, 1:]], dim=1),
        ],
        dim=1,
    )


def move_frame(faces: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
    """Faces [N, 3, S, S] as seen in frames [N, 2, 3]: affine maps of coordinates in [-1, 1]."""
    grid = F.affine_grid(moved, list(faces.shape), align_corners=False)
    return F.grid_sample(faces, grid, padding_mode="reflection", align_corners=False)


def jitter_colour(faces: torch.Tensor, random: torch.Generator, amount: float) -> torch.Tensor:
    """Random brightness, contrast and channel gains of each face, each up to `amount`."""
    count = len(faces)
    light, contrast, gains = (
        (torch.rand(count, width, 1, 1, generator=random) * 2 - 1) * amount for width in (1, 1, 3)
    )
    return (faces * (1 + contrast) * (1 + 0.3 * gains) + light).clamp(-1, 1)


def blur(faces: torch.Tensor, random: torch.Generator, share: float) -> torch.Tensor:
    """Halve the resolution of a random `share` of the batch.

    Models that will look at decoded faces must not take softness for an attribute.
    """
    soft = F.interpolate(F.avg_pool2d(faces, 2), scale_factor=2, mode="bilinear")
    chosen = torch.rand(len(faces), 1, 1, 1, generator=random) < share
    return torch.where(chosen, soft, faces)

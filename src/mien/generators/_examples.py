"""Faces that tell what networks meet, where no photo is at hand."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from mien.generators import open_space

DRAWN = 12


def example_faces(size: int) -> torch.Tensor:
    """[24, 3, size, size] in [-1, 1]: drawn by the embedded VAE, always the same.

    Half are negatives of the others, which take layers to where photos do and drawn faces,
    being smooth, do not.
    """
    space = open_space()
    faces = torch.from_numpy(space.decode(space.sample(DRAWN, seed=0)))
    faces = F.interpolate(faces, (size, size), mode="bilinear", antialias=True)
    return torch.cat([faces, -faces])

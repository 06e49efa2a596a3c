"""What a generator copies before it competes: faces that a VAE draws.

A GAN spends most of its time on where eyes and hair belong, which an embedded
VAE already knows. The generator learns to draw what the VAE draws from the same
random numbers, and then competes from blurred faces instead of noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from mien.errors import BadInput
from mien.generators.vae import VAE
from mien.train.projected import Features


@dataclass
class Lesson:
    """Faces [n, 3, S, S] in [-1, 1] and the z [n, D] they are to be drawn from."""

    z: torch.Tensor
    faces: torch.Tensor


class Teacher:
    """Gives lessons of `width` random numbers a face at `size` px, and marks them.

    z are coordinates along the widest axes of the VAE's prior, standard normal
    under it. Raises BadInput when the VAE has fewer axes or smaller faces.
    """

    def __init__(self, space: VAE, width: int, size: int, trunk: str, feature: float) -> None:
        mean, factor = space.prior
        if width > len(mean) or size > space.size:
            raise BadInput(
                f"{space.card['name']} teaches at most latent={len(mean)} and "
                f"size={space.size}, not latent={width} and size={size}"
            )
        axes, scales, _ = np.linalg.svd(factor.astype(np.float64))
        self.mean = torch.from_numpy(mean)
        self.axes = torch.from_numpy((axes * scales)[:, :width].T.astype(np.float32))
        self.space, self.size = space, size
        self.features, self.feature = Features(trunk), feature

    @torch.no_grad()
    def lesson(self, count: int, random: torch.Generator) -> Lesson:
        """`count` faces of the VAE; runs at the caller's precision."""
        z = torch.randn(count, len(self.axes), generator=random)
        faces = self.space.render(self.mean + z @ self.axes).float().clamp(-1, 1)
        return Lesson(z, F.avg_pool2d(faces, self.space.size // self.size))

    def loss(self, samples: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        """Mean squared error + `feature` * squared difference of features over their variance."""
        with torch.no_grad():
            wanted = self.features(faces)
        terms = [
            (got.float() - want.float()).square().mean() / want.float().var()
            for got, want in zip(self.features(samples), wanted, strict=True)
        ]
        return F.mse_loss(samples, faces) + self.feature * torch.stack(terms).mean()

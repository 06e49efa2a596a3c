"""What a generator copies before it competes: photos, at the latents a VAE gives them.

A GAN spends most of its time on where eyes and hair belong, which an embedded
VAE already knows. A photo's z is its VAE latent, whitened by the VAE's prior;
the generator learns to draw the photo from it (Bojanowski et al., "Optimizing
the Latent Space of Generative Networks", ICML 2018, with latents given instead
of learned), and then competes from blurred faces instead of noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from mien.errors import BadInput
from mien.faces.cache import to_unit
from mien.generators.vae import VAE
from mien.train.projected import Features

BATCH = 512  # photos encoded at a time


def whitened(space: VAE, photos: np.ndarray, width: int) -> torch.Tensor:
    """z [N, width] of uint8 photos [N, S, S, 3]: their latents along the prior's widest axes.

    Standard normal under the prior. Raises BadInput when the space has fewer axes.
    """
    mean, factor = space.prior
    if width > len(mean):
        raise BadInput(f"a recipe that teaches takes at most latent={len(mean)}, not {width}")
    parts = [photos[start : start + BATCH] for start in range(0, len(photos), BATCH)]
    means = np.concatenate([space.encode(to_unit(part)).values for part in parts])
    axes, scales, _ = np.linalg.svd(factor.astype(np.float64))
    z = (means - mean) @ axes[:, :width] / scales[:width]
    return torch.from_numpy(np.ascontiguousarray(z, np.float32))


@dataclass
class Lesson:
    """Photos [n, 3, S, S] in [-1, 1] and the z [n, D] they are to be drawn from."""

    z: torch.Tensor
    photos: torch.Tensor


class Teacher:
    """Compares samples with the photos they should be."""

    def __init__(self, trunk: str, feature: float) -> None:
        self.features, self.feature = Features(trunk), feature

    def loss(self, samples: torch.Tensor, photos: torch.Tensor) -> torch.Tensor:
        """Mean squared error + `feature` * squared difference of features over their variance."""
        with torch.no_grad():
            wanted = self.features(photos)
        terms = [
            (got.float() - want.float()).square().mean() / want.float().var()
            for got, want in zip(self.features(samples), wanted, strict=True)
        ]
        return F.mse_loss(samples, photos) + self.feature * torch.stack(terms).mean()

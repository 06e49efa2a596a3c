"""What keeps a generator on faces while it competes: photos that it has to draw.

A GAN spends most of its time on where eyes and hair belong, which an embedded
VAE already knows. The photos' latents, as coordinates along the widest axes of
the VAE's prior, are nearly the random numbers that a generator draws from
(Larsen et al., "Autoencoding beyond pixels using a learned similarity metric",
ICML 2016, train decoder and GAN as one). So the generator first learns to draw
the photo of given numbers, and goes on doing so on some of each batch while a
discriminator judges those and faces of free numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from mien.errors import BadInput
from mien.faces.cache import cached_crops, to_unit
from mien.generators.vae import VAE
from mien.train.projected import Features

BATCH = 64  # photos encoded at once


class Teacher:
    """Numbers of photos, and marks for drawing these.

    feature: weight of the distance of `trunk`'s maps beside that of pixels.
    """

    def __init__(self, trunk: str, feature: float) -> None:
        self.features, self.feature = Features(trunk, 2), feature

    def loss(self, samples: torch.Tensor, photos: torch.Tensor) -> torch.Tensor:
        """Mean squared error + `feature` * squared difference of features over their variance."""
        with torch.no_grad():
            wanted = self.features(photos)
        terms = [
            (got.float() - want.float()).square().mean() / want.float().var()
            for got, want in zip(self.features(samples), wanted, strict=True)
        ]
        return F.mse_loss(samples, photos) + self.feature * torch.stack(terms).mean()


def numbers_of(latents: np.ndarray, space: VAE, width: int) -> torch.Tensor:
    """Latents [N, D] -> float32 [N, width], standard normal where the latents follow the prior.

    Coordinates along the prior's widest axes, in its deviations. Raises
    BadInput when the VAE has fewer axes.
    """
    mean, factor = space.prior
    if width > len(mean):
        raise BadInput(f"{space.card['name']} teaches at most latent={len(mean)}, not {width}")
    axes, scales, _ = np.linalg.svd(factor.astype(np.float64))
    found = (latents - mean) @ axes[:, :width] / scales[:width]
    return torch.from_numpy(found.astype(np.float32))


def encoded(paths: Sequence[Path], space: VAE) -> np.ndarray:
    """Latents float32 [N, D] of CelebA photos."""
    crops = cached_crops(paths, space.size)
    parts = [
        space.encode(to_unit(crops[start : start + BATCH])).values
        for start in range(0, len(crops), BATCH)
    ]
    return np.concatenate(parts)

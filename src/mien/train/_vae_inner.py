"""Fits the components of the inner face (generators/_inner_face.py), in closed form."""

from __future__ import annotations

import numpy as np
import torch

from mien.faces.cache import to_unit
from mien.generators.vae import Network

RIDGE = 1.0  # added to the Gram matrix of the latents
BATCH = 250


@torch.no_grad()
def fit_inner(network: Network, faces: np.ndarray) -> None:
    """Set `network.inner` from uint8 faces [N, S, S, 3]; the rest of the network stays.

    Components: the first principal directions of photo minus decoded photo.
    Slope and offset: ridge regression of the photos' coefficients on the other
    latents. Scale: what the regression leaves, so that latents have unit variance.
    """
    inner = network.inner
    count = len(inner.components)
    mode = network.training
    network.eval()
    latents, cuts, missed = [], [], []
    for start in range(0, len(faces), BATCH):
        photos = torch.from_numpy(to_unit(faces[start : start + BATCH]))
        mean, _ = network.encoder(photos)
        own = torch.zeros(len(mean), count)
        decoded = network.decoder(torch.cat([mean, own], 1))
        latents.append(mean)
        cuts.append(inner.cut(photos))
        missed.append(inner.cut(photos - decoded))
    network.train(mode)
    inner.components.copy_(_principal(torch.cat(missed), count))
    coefficients = torch.cat(cuts) @ inner.components.t()
    slope, offset = _ridge(torch.cat(latents), coefficients)
    inner.slope.copy_(slope)
    inner.offset.copy_(offset)
    left = coefficients - inner.expect(torch.cat(latents))
    inner.scale.copy_(left.std(0).clamp(min=1e-6))


def _principal(rows: torch.Tensor, count: int) -> torch.Tensor:
    """The `count` directions of largest variance, orthonormal rows; signs fixed."""
    centred = (rows - rows.mean(0)).double()
    _, vectors = torch.linalg.eigh(centred.t() @ centred)
    found = vectors.flip(1)[:, :count].t()
    largest = found.gather(1, found.abs().argmax(1, keepdim=True))
    fixed: torch.Tensor = (found * largest.sign()).float()
    return fixed


def _ridge(inputs: torch.Tensor, outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Slope [K, D] and offset [K] of outputs [N, K] on inputs [N, D]."""
    centre, target = inputs.mean(0), outputs.mean(0)
    x, y = (inputs - centre).double(), (outputs - target).double()
    gram = x.t() @ x + RIDGE * torch.eye(x.shape[1], dtype=x.dtype)
    slope = torch.linalg.solve(gram, x.t() @ y).t().float()
    return slope, target - slope @ centre

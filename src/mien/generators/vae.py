"""DFC-VAE at 128 px: a convolutional VAE trained on deep features.

Hou et al., "Deep Feature Consistent Variational Autoencoder" (WACV 2017).
Differences from the paper, each for quality or for CPU time: residual blocks,
an image pyramid (64 px, then detail to 128 px), latents for principal
components of the inner face (_inner_face.py), no output activation, and a prior
fitted to the encoded train photos: a Gaussian with full covariance, from which
`sample` draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mien.checkpoint import load_model, mark
from mien.checks import check_faces
from mien.errors import BadInput, BadModel
from mien.generators._inner_face import InnerFace
from mien.generators.layers.fold import fold_norms
from mien.runtime.engine import Runner
from mien.types import Latent, check_same_space

RESIDUAL = 128  # channels from which a level gets a residual block; finer levels cost too much
BATCH = 32  # faces a forward pass; larger batches leave the cache


@dataclass(frozen=True)
class Architecture:
    """Sizes of the network; saved in the card, rebuilds it."""

    size: int = 128  # px; the pyramid's lower level is half of it
    latent: int = 256  # of the convolutions
    inner: int = 96  # further ones, of the inner face's components; D is their sum
    widths: tuple[int, ...] = (32, 64, 128, 192, 256)  # channels at size/2, /4, /8, /16, /32


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.1, inplace=True),
    )


class Residual(nn.Module):
    """x + two 3x3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> the same shape."""
        return F.leaky_relu(x + self.second(self.first(x)), 0.1)


class Encoder(nn.Module):
    """Faces to the mean and log-variance of q(z | x)."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        widths = shape.widths
        layers: list[nn.Module] = [_conv(3, widths[0], stride=2)]
        for before, after in pairwise(widths):
            layers += [_conv(before, after, stride=2)]
            if RESIDUAL <= after != widths[-1]:
                layers += [Residual(after)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1] * (shape.size // 32) ** 2, 2 * shape.latent)

    def forward(self, faces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[N, 3, size, size] in [-1, 1] -> mean [N, D], log-variance [N, D], both fp32."""
        out = self.head(self.layers(faces).flatten(1)).float()
        mean, log_variance = out.chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 6)


class Decoder(nn.Module):
    """Latents of both kinds to a face pyramid: half size, then full size."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        widths = tuple(reversed(shape.widths))
        self.start = (widths[0], shape.size // 32, shape.size // 32)
        self.stem = nn.Linear(shape.latent + shape.inner, int(np.prod(self.start)))
        nn.init.zeros_(self.stem.weight[:, shape.latent :])  # until they are fitted
        blocks: list[nn.Module] = []
        for before, after in pairwise(widths):
            blocks += [nn.Upsample(scale_factor=2), _conv(before, after)]
            if after >= RESIDUAL:
                blocks += [Residual(after)]
        self.blocks = nn.Sequential(*blocks)
        self.to_half = nn.Conv2d(widths[-1], 3, 3, 1, 1)
        self.detail = nn.Sequential(
            _conv(widths[-1], 64), nn.Conv2d(64, 12, 3, 1, 1), nn.PixelShuffle(2)
        )

    def forward(self, latent: torch.Tensor, full: bool = True) -> torch.Tensor:
        """[N, D] -> [N, 3, size, size], or [N, 3, size/2, size/2] when not `full`."""
        x = F.leaky_relu(self.stem(latent), 0.1).view(-1, *self.start)
        x = self.blocks(x.contiguous(memory_format=torch.channels_last))
        half: torch.Tensor = self.to_half(x)
        if not full:
            return half
        up = F.interpolate(half, scale_factor=2, mode="bilinear", align_corners=False)
        out: torch.Tensor = up + self.detail(x)
        return out


class Network(nn.Module):
    """Encoder, decoder and the components of the inner face."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(shape), Decoder(shape)
        self.inner = InnerFace(shape.size, shape.latent, shape.inner)
        self.latent = shape.latent

    def encode(self, faces: torch.Tensor) -> torch.Tensor:
        """Faces [N, 3, size, size] in [-1, 1] -> latents [N, D], posterior means first."""
        mean, _ = self.encoder(faces)
        return torch.cat([mean, self.inner.encode(faces, mean)], 1)

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """Latents [N, D] -> fp32 faces [N, 3, size, size], not clipped."""
        faces = self.decoder(latent)
        placed: torch.Tensor = self.inner.place(
            faces, latent[:, : self.latent], latent[:, self.latent :]
        )
        return placed


class VAE:
    """The space of a trained VAE: latents are posterior means, [N, D]."""

    space = "z"

    def __init__(
        self, network: Network, card: dict[str, Any], prior: tuple[np.ndarray, np.ndarray]
    ) -> None:
        self.network = network.eval()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.card, self.mark = card, mark(card)
        self.size, self.frame = card["input"]["size"], card["input"]["frame"]
        self._encode, self._decode = Runner(network.encode), Runner(network.decode)
        self.prior = prior  # mean [D], lower factor [D, D] of the covariance

    def encode(self, faces: np.ndarray) -> Latent:
        """Posterior means of faces float32 [N, 3, size, size] in [-1, 1]."""
        check_faces(faces)
        if faces.shape[2] != self.size:
            raise BadInput(f"faces are {faces.shape[2]} px, {self.card['name']} reads {self.size}")
        parts = [self._mean(faces[i : i + BATCH]) for i in range(0, len(faces), BATCH)]
        width = len(self.prior[0])
        values = np.concatenate(parts) if parts else np.zeros((0, width), np.float32)
        return Latent(values, self.space, self.mark)

    def decode(self, latent: Latent) -> np.ndarray:
        """Faces float32 [N, 3, size, size], clipped to [-1, 1]."""
        check_same_space(
            "the latent", (latent.space, latent.model), "this model", (self.space, self.mark)
        )
        values = latent.values
        parts = [self._face(values[i : i + BATCH]) for i in range(0, len(values), BATCH)]
        empty = np.zeros((0, 3, self.size, self.size), np.float32)
        return np.concatenate(parts) if parts else empty

    def sample(self, count: int, seed: int = 0, truncation: float = 1.0) -> Latent:
        """Latents of the Gaussian fitted to the encoded train photos, nearer to its mean at < 1."""
        mean, factor = self.prior
        noise = np.random.default_rng(seed).standard_normal((count, len(mean))) * truncation
        return Latent((mean + noise @ factor.T).astype(np.float32), self.space, self.mark)

    def render(self, values: torch.Tensor) -> torch.Tensor:
        """Latents [N, D] -> faces [N, 3, size, size], not clipped; gradients reach the latents."""
        faces: torch.Tensor = self.network.decode(values)
        return faces

    @torch.inference_mode()
    def _mean(self, faces: np.ndarray) -> np.ndarray:
        batch = torch.from_numpy(faces).contiguous(memory_format=torch.channels_last)
        return np.asarray(self._encode(batch).numpy())

    @torch.inference_mode()
    def _face(self, values: np.ndarray) -> np.ndarray:
        faces = self._decode(torch.from_numpy(values)).clamp(-1, 1)
        return np.ascontiguousarray(faces.float().numpy())


def open_space(folder: Path) -> VAE:
    """Open a model folder written by `mien train vae`; BadModel when its tensors do not fit."""
    tensors, card = load_model(folder)
    prior = tensors.pop("prior.mean"), tensors.pop("prior.factor")
    options = card["options"]
    network = Network(Architecture(**options | {"widths": tuple(options["widths"])}))
    try:
        network.load_state_dict({key: torch.from_numpy(value) for key, value in tensors.items()})
    except RuntimeError as error:
        raise BadModel(f"{folder} does not hold the network its card describes") from error
    fold_norms(network.requires_grad_(False).eval())
    return VAE(network, card, prior)

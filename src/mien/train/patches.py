"""A discriminator of patches, which sharpens what a pixel loss leaves soft.

Isola et al., "Image-to-Image Translation with Conditional Adversarial
Networks" (CVPR 2017): a few strided convolutions, one logit a patch; hinge loss.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

WIDTHS = (32, 64, 128)  # channels at half, a quarter and an eighth of the size


class PatchCritic(nn.Module):
    """Faces to logits of overlapping patches of 54 px, positive for photos."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for width in WIDTHS:
            layers += [_conv(inputs, width, 4, 2), nn.LeakyReLU(0.2)]
            inputs = width
        layers += [_conv(inputs, inputs, 3, 1), nn.LeakyReLU(0.2), _conv(inputs, 1, 3, 1)]
        self.layers = nn.Sequential(*layers)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """[N, 3, S, S] in [-1, 1] -> [N, 1, S/8, S/8]."""
        logits: torch.Tensor = self.layers(faces.contiguous(memory_format=torch.channels_last))
        return logits


def _conv(inputs: int, outputs: int, side: int, stride: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(inputs, outputs, side, stride, 1))


def weighed(
    wanted: torch.Tensor, adversarial: torch.Tensor, share: float, rows: int | None = None
) -> torch.Tensor:
    """Sum of two gradients [N, ...], the second first scaled to `share` times the first's norm.

    rows: the second's norm is taken over its first rows, where the first is not 0; None = all.

    A fixed weight fits neither the beginning nor the end of a training: the
    discriminator's gradient grows while the other falls (Esser et al., "Taming
    Transformers", CVPR 2021, weigh by gradients too).
    """
    scale = share * wanted.norm() / adversarial[:rows].norm().clamp(min=1e-12)
    total: torch.Tensor = wanted + scale * adversarial
    return total

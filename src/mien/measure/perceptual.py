"""Perceptual distance on ImageNet features: an LPIPS-like number with its own name.

Zhang et al. (CVPR 2018) compare unit-normalised channels of a trunk, weighted
by learned heads, averaged over space and summed over layers. The trunk here is
MobileNetV2 and there are no learned weights, so the numbers do not compare
with published LPIPS.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from mien.checks import check_faces, check_shape
from mien.recognise import mobilenet_v2
from mien.recognise.imagenet import load_trunk, normalise

TAPS = (1, 3, 6, 13)  # strides 2, 4, 8 and 16
BATCH = 32


def perceptual_distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Distances float64 [N] of faces float32 [N, 3, S, S] in [-1, 1]; 0 for equal faces.

    Raises MissingExtra when the package with MobileNetV2's weights is not installed.
    """
    check_faces(first)
    check_shape(second, first.shape, "second faces")
    parts = [
        _distance(first[start : start + BATCH], second[start : start + BATCH])
        for start in range(0, len(first), BATCH)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


@torch.inference_mode()
def _distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    total = np.zeros(len(first))
    one, two = (normalise(torch.from_numpy(np.ascontiguousarray(x))) for x in (first, second))
    for number, layer in enumerate(_layers()):
        one, two = layer(one), layer(two)
        if number in TAPS:
            difference = (_unit(one) - _unit(two)).square().sum(1).mean(dim=(1, 2))
            total += difference.double().numpy()
    return total


def _unit(features: torch.Tensor) -> torch.Tensor:
    return features / (features.square().sum(1, keepdim=True).sqrt() + 1e-8)


@cache
def _layers() -> list[torch.nn.Module]:
    trunk = load_trunk(mobilenet_v2).eval()
    return trunk.layers()[: max(TAPS) + 1]

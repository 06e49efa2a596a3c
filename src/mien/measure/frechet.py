"""Frechet distance between two sets of faces on ImageNet features of MobileNetV2.

Heusel et al., "GANs Trained by a Two Time-Scale Update Rule" (NeurIPS 2017),
fit a Gaussian to the pooled features of each set and take
|mean - mean'|^2 + tr(S + S' - 2 (S S')^(1/2)). Their features are those of an
Inception network of 2015. These are MobileNetV2's, of faces brought to 128 px,
so the numbers do not compare with any published FID, and are called
`frechet_mobilenet`. As there, few samples bias the distance upwards: compare
only distances over equally many.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mien.checks import check_shape
from mien.errors import BadInput
from mien.faces.cache import cache_folder, cached_crops, to_unit
from mien.files import atomic_open
from mien.recognise import mobilenet_v2
from mien.recognise.imagenet import load_trunk, normalise

SIDE = 128  # px that every face is brought to, antialiased where that is smaller
BATCH = 50
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Moments:
    """Mean float64 [D] and covariance float64 [D, D] of the features of `count` faces."""

    mean: np.ndarray
    covariance: np.ndarray
    count: int


def frechet_mobilenet(first: Moments, second: Moments) -> float:
    """Squared Frechet distance of the two Gaussians, >= 0; 0 for equal moments."""
    check_shape(second.covariance, first.covariance.shape, "second covariance")
    apart = np.square(first.mean - second.mean).sum()
    spread = np.trace(first.covariance) + np.trace(second.covariance)
    root = _root(first.covariance)
    # S S' has the eigenvalues of the symmetric root(S) S' root(S)
    values = np.linalg.eigvalsh(root @ second.covariance @ root)
    shared = np.sqrt(np.maximum(values, 0)).sum()
    return float(max(apart + spread - 2 * shared, 0.0))


def moments(batches: Iterable[np.ndarray]) -> Moments:
    """Moments of the faces in `batches`, each float32 [n, 3, S, S] in [-1, 1].

    Raises BadInput for fewer than two faces.
    """
    parts = [face_features(batch) for batch in batches]
    values = np.concatenate(parts) if parts else np.zeros((0, 1))
    return moments_of(values)


def moments_of(features: np.ndarray) -> Moments:
    """Moments of features [N, D] (covariance over N - 1); BadInput when N < 2."""
    if len(features) < 2:
        raise BadInput(f"a Frechet distance needs at least two faces, got {len(features)}")
    values = features.astype(np.float64)
    return Moments(values.mean(0), np.atleast_2d(np.cov(values, rowvar=False)), len(values))


@torch.inference_mode()
def face_features(faces: np.ndarray) -> np.ndarray:
    """Pooled features float32 [N, 1280] of faces float32 [N, 3, S, S] in [-1, 1]."""
    parts = []
    for start in range(0, len(faces), BATCH):
        batch = torch.from_numpy(np.ascontiguousarray(faces[start : start + BATCH]))
        if batch.shape[2] != SIDE:
            batch = F.interpolate(batch, size=(SIDE, SIDE), mode="bilinear", antialias=True)
        x = normalise(batch).contiguous(memory_format=torch.channels_last)
        parts.append(_trunk()(x).float().mean(dim=(2, 3)).numpy())
    return np.concatenate(parts) if parts else np.zeros((0, mobilenet_v2.CHANNELS), np.float32)


def photo_moments(paths: Sequence[Path], size: int, progress: Progress | None = None) -> Moments:
    """Moments of CelebA photos cropped to `size` px, computed once and kept in the cache folder."""
    key = hashlib.sha256(f"{size} {SIDE}\n{[str(p) for p in paths]}".encode()).hexdigest()[:16]
    path = cache_folder() / f"frechet-{key}.npz"
    if not path.is_file():
        pixels = cached_crops(paths, size)
        found = moments(_batches(pixels, progress))
        with atomic_open(path) as handle:
            np.savez(handle, mean=found.mean, covariance=found.covariance, count=found.count)
    with np.load(path) as stored:
        return Moments(stored["mean"], stored["covariance"], int(stored["count"]))


def _batches(pixels: np.ndarray, progress: Progress | None) -> Iterable[np.ndarray]:
    for start in range(0, len(pixels), 500):
        yield to_unit(pixels[start : start + 500])
        if progress is not None:
            progress(min(start + 500, len(pixels)), len(pixels), "features of the photos")


def _root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root of a positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(covariance)
    root: np.ndarray = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root


@cache
def _trunk() -> nn.Module:
    trunk = load_trunk(mobilenet_v2).eval().requires_grad_(False)
    trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return trunk

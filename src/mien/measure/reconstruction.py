"""How near a decoded face is to its photo: PSNR, SSIM and a perceptual distance."""

from __future__ import annotations

import numpy as np
from skimage.metrics import structural_similarity

from mien.checks import check_shape
from mien.generators.contract import Space
from mien.measure.perceptual import perceptual_distance
from mien.recognise import identity


def psnr(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio in dB, float64 [N], of faces [N, 3, S, S] in [-1, 1]."""
    check_shape(second, first.shape, "second faces")
    error = np.square(first.astype(np.float64) - second).mean(axis=(1, 2, 3))
    return np.asarray(10 * np.log10(4 / np.maximum(error, 1e-12)))


def ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Structural similarity, float64 [N], of faces [N, 3, S, S] in [-1, 1].

    Wang et al. 2004 with their Gaussian window (sigma 1.5), mean over channels.
    """
    check_shape(second, first.shape, "second faces")
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return np.array(
        [
            structural_similarity(a, b, data_range=2, channel_axis=0, **options)
            for a, b in zip(first, second, strict=True)
        ],
        np.float64,
    )


def reconstruction_table(space: Space, faces: np.ndarray) -> dict[str, float]:
    """Means over faces float32 [N, 3, S, S] of encode-decode: four numbers and N.

    "identity" is the cosine of the photo's embedding and the reconstruction's.
    """
    decoded = space.decode(space.encode(faces))
    cosine = identity.similarity(identity.embed(faces), identity.embed(decoded))
    measured = {
        "psnr": psnr(faces, decoded),
        "ssim": ssim(faces, decoded),
        "perceptual": perceptual_distance(faces, decoded),
        "identity": cosine,
    }
    means = {name: round(float(values.mean()), 4) for name, values in measured.items()}
    return {"faces": len(faces)} | means

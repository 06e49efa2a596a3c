"""PSNR and SSIM against torchmetrics; the perceptual distance by its invariants."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage import data
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from mien.measure.perceptual import perceptual_distance
from mien.measure.reconstruction import psnr, ssim


@pytest.fixture(scope="module")
def faces():
    picture = data.astronaut()[:256, 96:352][::2, ::2]
    unit = picture.transpose(2, 0, 1).astype(np.float32) / 127.5 - 1
    return np.stack([unit, unit[:, ::-1]]).copy()


def noisy(faces, amount):
    noise = np.random.default_rng(0).normal(size=faces.shape) * amount
    return np.clip(faces + noise, -1, 1).astype(np.float32)


def test_psnr_agrees_with_torchmetrics(faces):
    other = noisy(faces, 0.1)
    for n in range(2):
        want = peak_signal_noise_ratio(
            torch.from_numpy(other[n]), torch.from_numpy(faces[n]), data_range=2.0
        )
        assert psnr(faces, other)[n] == pytest.approx(float(want), abs=1e-3)


def test_ssim_agrees_with_torchmetrics(faces):
    other = noisy(faces, 0.1)
    want = structural_similarity_index_measure(
        torch.from_numpy(other), torch.from_numpy(faces), data_range=2.0, reduction="none"
    )
    np.testing.assert_allclose(ssim(faces, other), want.numpy(), atol=0.01)


def test_perceptual_distance_is_zero_for_equals_symmetric_and_grows_with_blur(faces):
    blurred = [gaussian_filter(faces, (0, 0, s, s)).astype(np.float32) for s in (0.7, 1.5, 3)]
    distances = [perceptual_distance(faces, other) for other in blurred]
    np.testing.assert_allclose(perceptual_distance(faces, faces), 0, atol=1e-9)
    assert (distances[0] < distances[1]).all()
    assert (distances[1] < distances[2]).all()
    np.testing.assert_allclose(perceptual_distance(blurred[1], faces), distances[1], rtol=1e-5)

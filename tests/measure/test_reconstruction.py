"""PSNR against torchmetrics, SSIM against its formula, the perceptual distance by invariants."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.signal import convolve2d
from skimage import data
from torchmetrics.functional.image import peak_signal_noise_ratio

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


def test_ssim_is_the_formula_of_wang_2004(faces):
    other = noisy(faces, 0.1)
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    kernel = np.outer(line, line) / line.sum() ** 2
    luminance, contrast = (0.01 * 2) ** 2, (0.03 * 2) ** 2

    def mean(channel):
        return convolve2d(channel, kernel, mode="valid")

    def of_channels(a, b):
        one, two = mean(a), mean(b)
        variances = mean(a * a) - one**2 + mean(b * b) - two**2
        covariance = mean(a * b) - one * two
        top = (2 * one * two + luminance) * (2 * covariance + contrast)
        return (top / ((one**2 + two**2 + luminance) * (variances + contrast))).mean()

    pairs = zip(faces.astype(float), other.astype(float), strict=True)
    want = [np.mean([of_channels(a, b) for a, b in zip(*pair, strict=True)]) for pair in pairs]
    np.testing.assert_allclose(ssim(faces, other), want, atol=1e-5)


def test_perceptual_distance_is_zero_for_equals_symmetric_and_grows_with_blur(faces):
    blurred = [gaussian_filter(faces, (0, 0, s, s)).astype(np.float32) for s in (0.7, 1.5, 3)]
    distances = [perceptual_distance(faces, other) for other in blurred]
    np.testing.assert_allclose(perceptual_distance(faces, faces), 0, atol=1e-9)
    assert (distances[0] < distances[1]).all()
    assert (distances[1] < distances[2]).all()
    np.testing.assert_allclose(perceptual_distance(blurred[1], faces), distances[1], rtol=1e-5)

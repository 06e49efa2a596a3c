"""The One Euro filter against its paper's pseudocode, and for what it promises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mien.live.smooth import OneEuro, SmoothOptions

ONE = np.ones(1)


def by_the_paper(values: np.ndarray, rate: float, least: float, beta: float) -> list[float]:
    """Algorithm 1 of the paper, for numbers at a fixed rate, cutoff of the slope 1 Hz."""

    def alpha(cutoff: float) -> float:
        tau = 1.0 / (2 * math.pi * cutoff)
        return 1.0 / (1.0 + tau * rate)

    out = [float(values[0])]
    slope = 0.0
    for value in values[1:]:
        slope = alpha(1.0) * (value - out[-1]) * rate + (1 - alpha(1.0)) * slope
        share = alpha(least + beta * abs(slope))
        out.append(share * value + (1 - share) * out[-1])
    return out


def filtered(values: np.ndarray, options: SmoothOptions, unit: float = 1.0) -> np.ndarray:
    one = OneEuro(options)
    return np.array([one(v[None], i / 30, unit * ONE)[0] for i, v in enumerate(values)])


def test_it_is_the_papers() -> None:
    values = np.cumsum(np.random.default_rng(0).standard_normal(100))
    wanted = by_the_paper(values, 30, 1.5, 0.3)
    np.testing.assert_allclose(filtered(values, SmoothOptions(1.5, 0.3)), wanted, atol=1e-9)
    np.testing.assert_allclose(
        filtered(7 * values, SmoothOptions(1.5, 0.3), unit=7), 7 * np.array(wanted)
    )


def test_noise_at_rest_shrinks_and_a_steady_motion_hardly_lags() -> None:
    noise = 0.003 * np.random.default_rng(1).standard_normal(300)
    steady = filtered(noise, SmoothOptions())
    assert np.abs(np.diff(steady)).mean() < 0.3 * np.abs(np.diff(noise)).mean()
    ramp = np.arange(90) / 30  # a side a second
    assert np.abs(filtered(ramp, SmoothOptions())[30:] - ramp[30:]).max() < 1 / 150


def test_components_are_filtered_apart_and_repeated_times_are_survived() -> None:
    one = OneEuro()
    for number in range(20):
        value = one(np.array([number / 10, 5.0]), number / 30, np.ones(2))
    assert value[1] == pytest.approx(5)
    again = one(np.array([2.0, 5.0]), 19 / 30, np.ones(2))
    assert np.isfinite(again).all()

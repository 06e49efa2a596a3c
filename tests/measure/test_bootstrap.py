"""Intervals of means against SciPy's bootstrap and against the closed form for many queries."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from mien.errors import BadInput
from mien.measure.bootstrap import mean_intervals


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_are_scipys(level):
    values = np.random.default_rng(0).gamma(2, size=60)
    low, high = mean_intervals(values[:, None], rounds=20_000, level=level)
    known = bootstrap(
        (values,), np.mean, n_resamples=20_000, confidence_level=level,
        method="percentile", rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    width = known.high - known.low
    assert low[0] == pytest.approx(known.low, abs=0.03 * width)
    assert high[0] == pytest.approx(known.high, abs=0.03 * width)


def test_many_queries_come_to_the_normal_interval():
    values = np.random.default_rng(2).normal(5, 2, (2000, 3))
    low, high = mean_intervals(values, rounds=4000)
    half = 1.96 * values.std(axis=0) / np.sqrt(2000)
    np.testing.assert_allclose(low, values.mean(axis=0) - half, atol=0.1 * half.max())
    np.testing.assert_allclose(high, values.mean(axis=0) + half, atol=0.1 * half.max())


def test_columns_are_drawn_alike():
    values = np.random.default_rng(3).normal(size=(20, 1))
    low, high = mean_intervals(np.hstack([values, values + 1]), rounds=50)
    np.testing.assert_allclose(low[1] - low[0], 1)
    np.testing.assert_allclose(high[1] - high[0], 1)


def test_equal_values_leave_no_doubt():
    low, high = mean_intervals(np.full((9, 1), 0.25))
    assert low[0] == high[0] == 0.25


def test_nothing_to_draw_from_is_refused():
    for values, rounds, level in ((np.zeros((0, 1)), 9, 0.9), (np.ones((2, 1)), 0, 0.9),
                                  (np.ones((2, 1)), 9, 1.0)):  # fmt: skip
        with pytest.raises(BadInput, match="interval"):
            mean_intervals(values, rounds, level)

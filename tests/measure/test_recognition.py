"""Accuracy, AUC and calibration error of a recogniser, by hand."""

import numpy as np
import pytest

from mien.measure.recognition import calibration_error, recognition_table
from mien.types import Attributes


def test_calibration_error_of_a_constant_forecast_is_its_gap():
    truth = np.array([True] * 3 + [False] * 7)
    assert calibration_error(np.full(10, 0.8), truth) == pytest.approx(0.5)
    assert calibration_error(np.full(10, 0.3), truth) == pytest.approx(0.0)


def test_unknown_labels_take_no_part():
    labels = np.array([[1, 1], [-1, -1], [1, 0], [-1, 0]], np.int8)
    logits = np.array([[2.0, -1], [-2, -1], [-1, 9], [-3, 9]])
    table = recognition_table(logits, Attributes(("a", "b"), labels))
    assert table["attributes"]["a"]["accuracy"] == 0.75
    assert table["attributes"]["a"]["auc"] == 1.0
    assert table["attributes"]["b"]["accuracy"] == 0.5
    assert table["mean"]["accuracy"] == 0.625

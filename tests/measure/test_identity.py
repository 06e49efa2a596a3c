"""Separation against scikit-learn and a hand-made case."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from mien.measure.identity import separation


def test_agrees_with_scikit_learn():
    random = np.random.default_rng(0)
    people = np.repeat(np.arange(30), 4)
    values = random.normal(size=(30, 16))[people] + random.normal(size=(120, 16))
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    found = separation(values, people, far=0.05)
    upper = np.triu_indices(120, 1)
    scores, same = (values @ values.T)[upper], (people[:, None] == people)[upper]
    assert found.auc == pytest.approx(roc_auc_score(same, scores))
    far, tar, _ = roc_curve(same, scores, drop_intermediate=False)
    assert found.tar == pytest.approx(tar[far <= 0.05][-1], abs=0.02)
    assert (scores[~same] > found.threshold).mean() == pytest.approx(0.05, abs=0.002)


def test_equal_embeddings_cannot_be_told_apart():
    found = separation(np.ones((6, 1)), np.repeat([0, 1, 2], 2))
    assert found.auc == 0.5
    assert found.same == found.different == 1

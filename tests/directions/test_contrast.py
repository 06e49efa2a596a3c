import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mien.directions._contrast import contrast, contrasts, strata, with_enough
from mien.errors import BadInput, UnknownName
from mien.types import Attributes

LABELS = arrays(np.int8, st.integers(1, 40), elements=st.sampled_from([-1, 0, 1]))


@given(LABELS, st.integers(0, 99))
def test_each_stratum_weighs_both_sides_alike(labels, seed):
    groups = np.random.default_rng(seed).integers(-1, 3, len(labels))
    weights = contrast(labels, groups)
    assert not weights[(labels == 0) | (groups < 0)].any()
    assert (weights * labels >= 0).all()
    for group in range(3):
        np.testing.assert_allclose(weights[groups == group].sum(), 0, atol=1e-12)
    both = any({-1, 1} <= set(labels[groups == group].tolist()) for group in range(3))
    np.testing.assert_allclose(np.abs(weights).sum(), 2.0 if both else 0.0, atol=1e-12)


def test_strata_are_weighted_by_the_precision_of_their_difference():
    labels = np.array([1, -1, -1, 1, 1, -1])
    groups = np.array([0, 0, 0, 1, 1, 1])
    values = np.array([5.0, 1.0, 3.0, 10.0, 12.0, 2.0])
    # Differences 5 - 2 = 3 and 11 - 2 = 9; variances 1/1 + 1/2 and 1/2 + 1/1: equal weights.
    np.testing.assert_allclose(contrast(labels, groups) @ values, 6.0)


def test_a_face_with_an_unknown_label_to_balance_over_is_in_no_stratum():
    attributes = Attributes(("A", "B"), np.array([[1, 1], [1, 0], [-1, -1]], np.int8))
    groups = strata(attributes, ["B"])
    assert groups[1] == -1
    assert min(groups[0], groups[2]) >= 0
    assert groups[0] != groups[2]
    assert not contrasts(attributes, ["B"])[:, 0].any()


def test_balancing_over_an_unknown_attribute_suggests_the_nearest():
    with pytest.raises(UnknownName, match="did you mean Male"):
        contrasts(Attributes(("Male",), np.ones((2, 1), np.int8)), ["Mael"])


def test_a_rare_attribute_is_named_or_skipped():
    table = np.array([[1, 1], [-1, -1], [1, -1], [-1, -1]], np.int8)
    attributes = Attributes(("Common", "Rare"), table)
    weights = contrasts(attributes)
    assert with_enough(attributes, weights, 2, skip_rare=True) == ["Common"]
    with pytest.raises(BadInput, match="Rare is present in 1 and absent in 3"):
        with_enough(attributes, weights, 2, skip_rare=False)
    with pytest.raises(BadInput, match="no attribute has enough"):
        with_enough(attributes, weights, 9, skip_rare=True)

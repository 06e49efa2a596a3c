import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression

from mien.directions import mean_difference, ridge
from mien.directions.ridge import Options
from mien.errors import BadInput
from tests.directions.toys import correlated, labelled


def unit(columns):
    return columns / np.linalg.norm(columns, axis=0)


def test_without_shrinkage_it_is_the_discriminant_of_scikit_learn():
    data = correlated()
    found = ridge.find(data, Options(shrinkage=0))
    for column in range(2):
        other = LinearDiscriminantAnalysis(priors=[0.5, 0.5])
        other.fit(data.latent.values.astype(np.float64), data.attributes.table[:, column])
        np.testing.assert_allclose(found.vectors[:, column], unit(other.coef_[0]), atol=1e-5)
        scale = np.linalg.norm(other.coef_[0])
        np.testing.assert_allclose(found.bias[column], other.intercept_[0] / scale, atol=1e-4)


def test_shrinkage_mixes_in_a_multiple_of_the_identity():
    data = correlated()
    values, labels = data.latent.values.astype(np.float64), data.attributes.column("A")
    spread = np.cov(values.T, bias=True)
    shrunk = 0.6 * spread + 0.4 * np.trace(spread) / 6 * np.eye(6)
    want = np.linalg.inv(shrunk) @ (values[labels > 0].mean(0) - values[labels < 0].mean(0))
    found = ridge.find(data, Options(shrinkage=0.4))
    np.testing.assert_allclose(found.vectors[:, 0], unit(want), atol=1e-6)


def test_full_shrinkage_leaves_the_mean_difference():
    data = correlated()
    found, plain = ridge.find(data, Options(shrinkage=1)), mean_difference.find(data)
    np.testing.assert_allclose(found.vectors, plain.vectors, atol=1e-6)
    np.testing.assert_allclose(found.bias, plain.bias, atol=1e-5)


def test_joint_directions_are_the_coefficients_of_a_regression_of_latents_on_labels():
    data = correlated()
    found = ridge.find(data, Options(shrinkage=1, joint=True, label_ridge=0))
    other = LinearRegression().fit(data.attributes.table, data.latent.values.astype(np.float64))
    np.testing.assert_allclose(found.vectors, unit(other.coef_), atol=1e-5)
    assert np.abs(found.vectors[[1, 0], [0, 1]]).max() < 0.1  # correlated, yet held apart


def test_joint_whitening_uses_what_the_labels_leave_unexplained():
    data = correlated()
    values = data.latent.values.astype(np.float64)
    other = LinearRegression().fit(data.attributes.table, values)
    left = values - other.predict(data.attributes.table)
    want = np.linalg.inv(np.cov(left.T, bias=True)) @ other.coef_
    found = ridge.find(data, Options(shrinkage=0, joint=True, label_ridge=0))
    np.testing.assert_allclose(found.vectors, unit(want), atol=1e-5)


@pytest.mark.parametrize("joint", [False, True])
def test_classifies_better_than_the_mean_difference_where_axes_differ_in_spread(joint):
    generator = np.random.default_rng(3)
    labels = np.where(np.arange(4000) % 2, 1, -1)
    values = generator.normal(0, [1, 10, 10], (4000, 3))
    values[:, 0] += labels
    values[:, 1] += 3 * labels
    data = labelled(values, labels[:, None])

    def accuracy(found):
        return (np.sign(values @ found.vectors[:, 0] + found.bias[0]) == labels).mean()

    sharp = accuracy(ridge.find(data, Options(shrinkage=0.01, joint=joint)))
    assert sharp > accuracy(mean_difference.find(data)) + 0.1


@pytest.mark.parametrize("joint", [False, True])
def test_unknown_labels_take_no_part_in_the_differences(joint):
    data = correlated(count=400)
    table = data.attributes.table.copy()
    table[::3, 0] = 0
    found = ridge.find(labelled(data.latent.values, table), Options(shrinkage=1, joint=joint))
    known = labelled(data.latent.values[table[:, 0] != 0], table[table[:, 0] != 0])
    want = ridge.find(known, Options(shrinkage=1, joint=joint))
    tolerance = 0.15 if joint else 1e-6  # the joint regression puts the mean in their place
    np.testing.assert_allclose(found.vectors[:, 0], want.vectors[:, 0], atol=tolerance)


def test_a_singular_covariance_needs_shrinkage():
    data = correlated(count=40)
    flat = np.concatenate([data.latent.values, data.latent.values], axis=1)
    doubled = labelled(flat, data.attributes.table)
    with pytest.raises(BadInput, match="raise shrinkage"):
        ridge.find(doubled, Options(shrinkage=0, fewest=1))
    assert ridge.find(doubled, Options(shrinkage=0.1, fewest=1)).names == ("A", "B")


def test_options_out_of_range():
    for wrong in ({"shrinkage": 1.5}, {"shrinkage": float("nan")}, {"label_ridge": -1}):
        with pytest.raises(BadInput, match="give 0"):
            Options(**wrong)


def test_equal_labels_need_a_ridge():
    data = correlated(count=60)
    same = labelled(data.latent.values, data.attributes.table[:, [0, 0]])
    with pytest.raises(BadInput, match="label_ridge"):
        ridge.find(same, Options(joint=True, label_ridge=0))

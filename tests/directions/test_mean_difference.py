import numpy as np
import pytest

from mien.directions import mean_difference
from mien.directions.mean_difference import Options
from mien.errors import BadInput
from mien.types import Latent
from tests.directions.toys import correlated, labelled


def test_is_the_difference_of_the_means_of_known_faces():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(300, 5)).astype(np.float32)
    table = generator.choice([-1, 0, 1], (300, 2))
    found = mean_difference.find(labelled(values, table))
    for column in range(2):
        wide = values.astype(np.float64)
        have, lack = wide[table[:, column] > 0].mean(0), wide[table[:, column] < 0].mean(0)
        want = (have - lack) / np.linalg.norm(have - lack)
        np.testing.assert_allclose(found.vectors[:, column], want, atol=1e-6)
        scores = np.stack([have, lack]) @ found.vectors[:, column] + found.bias[column]
        np.testing.assert_allclose(scores[0], -scores[1], atol=1e-5)


def test_balancing_takes_the_correlated_attribute_out():
    data = correlated()
    plain = mean_difference.find(data)
    balanced = mean_difference.find(data, Options(balance=("A", "B")))
    assert abs(plain.vectors[1, 0]) > 0.5  # A drags B's axis along
    assert abs(balanced.vectors[1, 0]) < 0.1
    assert balanced.vectors[0, 0] > 0.99


def test_w_plus_latents_are_flattened_row_by_row():
    data = correlated(size=6)
    folded = Latent(data.latent.values.reshape(-1, 2, 3), "z", "toy@0")
    found = mean_difference.find(type(data)(folded, data.attributes))
    np.testing.assert_array_equal(found.vectors, mean_difference.find(data).vectors)


def test_presences_and_provenance():
    data = correlated()
    found = mean_difference.find(data, Options(balance=("B",)))
    scores = data.latent.values.astype(np.float64) @ found.vectors[:, 0]
    labels = data.attributes.column("A")
    np.testing.assert_allclose(found.low[0], np.quantile(scores[labels < 0], 0.001), rtol=1e-5)
    np.testing.assert_allclose(found.high[0], np.quantile(scores[labels > 0], 0.999), rtol=1e-5)
    np.testing.assert_allclose(found.unit, found.high - found.low, rtol=1e-5)
    assert found.provenance["method"] == "mean_difference"
    assert found.provenance["options"]["balance"] == ["B"]
    assert not found.orthonormal


def test_an_attribute_without_faces_is_refused_or_left_out():
    data = correlated()
    table = data.attributes.table.copy()
    table[:, 1] = 1
    lacking = labelled(data.latent.values, table)
    with pytest.raises(BadInput, match="B is present in 0"):
        mean_difference.find(lacking)
    assert mean_difference.find(lacking, Options(skip_rare=True)).names == ("A",)


def test_faces_that_do_not_differ_have_no_direction():
    table = np.tile([[1], [-1]], (10, 1))
    with pytest.raises(BadInput, match="A have the same mean latent"):
        mean_difference.find(labelled(np.ones((20, 3)), table))


def test_as_many_labels_as_latents():
    with pytest.raises(BadInput, match="3 latents but 2 rows"):
        labelled(np.zeros((3, 2)), np.ones((2, 1)))

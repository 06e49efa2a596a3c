import numpy as np
import pytest

from mien.directions import SampleOptions, labelled_samples
from mien.errors import BadInput
from tests.directions.toys import latent


class Space:
    def sample(self, count, seed=0, truncation=1.0):
        values = np.random.default_rng(seed).normal(size=(count, 12)) * truncation
        return latent(values)

    def decode(self, latents):
        assert len(latents) <= 64
        return np.clip(latents.values.reshape(-1, 3, 2, 2), -1, 1)


class Bright:
    names = ("Bright", "Red")

    def probabilities(self, faces):
        return (
            np.stack([faces.mean(axis=(1, 2, 3)), faces[:, 0].mean(axis=(1, 2))], axis=1) / 2 + 0.5
        )


def test_labels_are_the_recognisers_and_rows_belong_together():
    told = []
    options = SampleOptions(count=150, seed=3, truncation=0.5)
    data = labelled_samples(Space(), Bright(), options, lambda *a: told.append(a))
    want = Bright().probabilities(np.clip(data.latent.values.reshape(-1, 3, 2, 2), -1, 1))
    np.testing.assert_allclose(data.scores, want, atol=1e-6)
    np.testing.assert_array_equal(data.attributes.table > 0, want > 0.5)
    np.testing.assert_array_equal(data.latent.values, Space().sample(150, 3, 0.5).values)
    assert data.attributes.names == ("Bright", "Red")
    assert told[-1][:2] == (150, 150)
    part = data.rows(np.array([4, 2])).select(["Red"])
    np.testing.assert_array_equal(part.scores[:, 0], data.scores[[4, 2], 1])
    assert part.source is data.source


def test_no_samples():
    with pytest.raises(BadInput, match="ask for 1 or more"):
        labelled_samples(Space(), Bright(), SampleOptions(count=0))

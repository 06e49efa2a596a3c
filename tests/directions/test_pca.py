import numpy as np
import pytest
from sklearn.decomposition import PCA

from mien.directions import edit, pca, pca_prior
from mien.directions.contract import unlabelled
from mien.errors import BadInput
from mien.types import Latent


def stretched(count=400, size=6, seed=0):
    random = np.random.default_rng(seed)
    values = random.normal(size=(count, size)) * np.arange(1, size + 1) + 3
    turn = np.linalg.qr(random.normal(size=(size, size)))[0]
    return (values @ turn).astype(np.float32)


def test_axes_and_deviations_are_those_of_scikit_learn():
    values = stretched()
    found = pca.find(unlabelled(Latent(values, "w", "toy@0")), pca.Options(components=4))
    other = PCA(4).fit(values.astype(np.float64))
    cosines = (found.vectors * other.components_.T).sum(axis=0)
    np.testing.assert_allclose(np.abs(cosines), 1, atol=1e-5)
    np.testing.assert_allclose(found.unit**2, other.explained_variance_ * 399 / 400, rtol=1e-4)
    np.testing.assert_allclose(
        found.provenance["variance"], other.explained_variance_ratio_, atol=1e-5
    )
    np.testing.assert_allclose(values.mean(0) @ found.vectors + found.bias, 0, atol=1e-4)


def test_repeated_rows_are_analysed_once_and_moved_alike():
    values = stretched()
    plus = Latent(np.repeat(values[:, None], 5, axis=1), "w+", "toy@0")
    found = pca.find(unlabelled(plus), pca.Options(components=2))
    single = pca.find(unlabelled(Latent(values, "w+", "toy@0")), pca.Options(components=2))
    moved = edit(plus[:1], found, {"component_0": 1.5}).values - plus.values[:1]
    want = 1.5 * single.unit[0] * single.vectors[:, 0]
    np.testing.assert_allclose(moved[0], np.tile(want, (5, 1)), atol=1e-4)


def test_more_axes_than_the_latents_span():
    latent = Latent(stretched(4), "w", "toy@0")
    with pytest.raises(BadInput, match="ask for 1 to 3"):
        pca.find(unlabelled(latent), pca.Options(components=4))


def test_axes_of_the_prior_are_noise():
    latent = Latent(np.zeros((1, 40), np.float32), "z", "toy@0")
    options = [pca_prior.Options(samples=4000, seed=seed) for seed in (0, 1)]
    one, two = (pca_prior.find(unlabelled(latent), chosen) for chosen in options)
    cosines = np.abs((one.vectors * two.vectors).sum(axis=0))
    assert cosines.max() < 0.75  # another seed, other axes
    low, high = one.provenance["variances_of_noise"]
    assert (low, high) == pytest.approx(((1 - 0.1) ** 2, (1 + 0.1) ** 2))
    assert all(low < variance < high * 1.02 for variance in one.provenance["variances"])
    np.testing.assert_array_equal(one.unit, 1)


def test_samples_of_the_prior_live_in_z():
    with pytest.raises(BadInput, match=r"in w\+; use pca"):
        pca_prior.find(unlabelled(Latent(np.zeros((1, 2, 4), np.float32), "w+", "toy@0")))

"""The Frechet distance against closed forms, scipy and the definition of its features."""

import numpy as np
import pytest
import scipy.linalg
import torch

from mien.errors import BadInput
from mien.measure import frechet
from mien.measure.frechet import Moments, face_features, frechet_mobilenet, moments, moments_of
from mien.recognise import mobilenet_v2
from mien.recognise.imagenet import load_trunk, normalise


def gaussian(seed, width=6, rank=None):
    random = np.random.default_rng(seed)
    factor = random.standard_normal((width, rank or width))
    return Moments(random.standard_normal(width), factor @ factor.T, 100)


def faces(count, seed=0, side=32):
    coarse = np.random.default_rng(seed).uniform(-1, 1, (count, 3, 4, 4)).astype(np.float32)
    return coarse.repeat(side // 4, axis=2).repeat(side // 4, axis=3)


@pytest.mark.parametrize("rank", [6, 3])
def test_is_scipys_matrix_square_root(rank):
    first, second = gaussian(0, rank=rank), gaussian(1)
    root = scipy.linalg.sqrtm(first.covariance @ second.covariance).real
    want = np.square(first.mean - second.mean).sum() + np.trace(
        first.covariance + second.covariance - 2 * root
    )
    assert frechet_mobilenet(first, second) == pytest.approx(want, rel=1e-6)
    assert frechet_mobilenet(second, first) == pytest.approx(want, rel=1e-6)


def test_independent_axes_have_the_closed_form():
    one, two = np.array([1.0, 4, 9]), np.array([4.0, 1, 16])
    first = Moments(np.array([0.0, 1, 2]), np.diag(one), 10)
    second = Moments(np.array([1.0, 1, 0]), np.diag(two), 10)
    want = 1 + 4 + np.square(np.sqrt(one) - np.sqrt(two)).sum()
    assert frechet_mobilenet(first, second) == pytest.approx(want)


def test_is_zero_for_equal_moments_and_the_shift_for_shifted_ones():
    first = gaussian(2)
    moved = Moments(first.mean + 2, first.covariance, 100)
    assert frechet_mobilenet(first, first) == pytest.approx(0, abs=1e-9)
    assert frechet_mobilenet(first, moved) == pytest.approx(4 * 6)


def test_moments_do_not_depend_on_batches():
    batch = faces(9)
    whole, parts = moments([batch]), moments([batch[:4], batch[4:]])
    assert whole.count == parts.count == 9
    np.testing.assert_allclose(whole.mean, parts.mean, atol=1e-5)
    np.testing.assert_allclose(whole.covariance, parts.covariance, atol=1e-5)


def test_features_are_the_trunks_pooled_map():
    batch = faces(2, side=frechet.SIDE)
    with torch.no_grad():
        want = load_trunk(mobilenet_v2).eval()(normalise(torch.from_numpy(batch)))
    got = face_features(batch)
    assert got.shape == (2, 1280)
    np.testing.assert_allclose(got, want.mean((2, 3)).numpy(), atol=1e-4)


def test_softness_costs_more_than_another_draw():
    """Two halves of one set are nearer than a set and its blurred self."""
    sharp = np.random.default_rng(3).uniform(-1, 1, (16, 3, 32, 32)).astype(np.float32)
    soft = sharp.reshape(16, 3, 16, 2, 16, 2).mean((3, 5)).repeat(2, 2).repeat(2, 3)
    first, second, blurred = (moments([x]) for x in (sharp[:8], sharp[8:], soft[8:]))
    assert frechet_mobilenet(first, second) < frechet_mobilenet(first, blurred) / 2


def test_one_face_has_no_moments():
    with pytest.raises(BadInput, match="at least two"):
        moments_of(np.zeros((1, 3)))
    with pytest.raises(BadInput, match="at least two"):
        moments([])


def test_moments_of_photos_are_kept(celeba_root, tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    paths = sorted((celeba_root / "img_align_celeba").glob("*.jpg"))[:4]
    first = frechet.photo_moments(paths, 32)
    monkeypatch.setattr(frechet, "moments", None)  # must not be measured again
    again = frechet.photo_moments(paths, 32)
    np.testing.assert_array_equal(first.covariance, again.covariance)
    assert again.count == 4

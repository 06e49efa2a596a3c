"""The recognisers: calibration against a known logistic model, real photos, bad input."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mien.errors import BadInput, BadModel, UnknownName
from mien.faces.cache import cached_crops, to_unit
from mien.faces.celeba import NAMES, read_celeba
from mien.recognise.recogniser import open_recogniser
from mien.train.recogniser import platt


@pytest.fixture(scope="module", params=["recogniser", "judge"])
def recogniser(request):
    return open_recogniser(request.param)


def test_platt_recovers_the_logistic_model_that_made_the_labels():
    random = np.random.default_rng(0)
    logits = random.normal(size=(60_000, 2)).astype(np.float32) * 2
    truth = 1 / (1 + np.exp(-(logits * [0.5, 2.0] + [-1.0, 0.3])))
    labels = np.where(random.random(logits.shape) < truth, 1, -1).astype(np.int8)
    scale, shift = platt(logits, labels)
    np.testing.assert_allclose(scale, [0.5, 2.0], rtol=0.05)
    np.testing.assert_allclose(shift, [-1.0, 0.3], atol=0.05)


def test_platt_ignores_unknown_labels_and_keeps_one_sided_attributes():
    random = np.random.default_rng(1)
    logits = random.normal(size=(400, 2)).astype(np.float32)
    labels = np.where(random.random((400, 2)) < 0.5, 1, -1).astype(np.int8)
    labels[:, 1] = 1
    hidden = labels.copy()
    hidden[200:, 0] = 0
    scale, shift = platt(logits, hidden)
    known_scale, known_shift = platt(logits[:200], labels[:200])
    assert scale[0] == pytest.approx(known_scale[0])
    assert shift[0] == pytest.approx(known_shift[0])
    assert (scale[1], shift[1]) == (1, 0)


def test_vocabulary_is_celebas(recogniser):
    assert recogniser.names == NAMES


def test_a_face_and_its_mirror_image_read_the_same(recogniser):
    faces = np.random.default_rng(0).uniform(-1, 1, (3, 3, 128, 128)).astype(np.float32)
    mirrored = np.ascontiguousarray(faces[..., ::-1])
    np.testing.assert_allclose(
        recogniser.probabilities(faces), recogniser.probabilities(mirrored), atol=1e-5
    )


def test_no_faces_give_no_rows(recogniser):
    assert recogniser.probabilities(np.zeros((0, 3, 128, 128), np.float32)).shape == (0, 40)


def test_other_sizes_and_ranges_are_refused(recogniser):
    with pytest.raises(BadInput, match="128 px"):
        recogniser.logits(np.zeros((1, 3, 64, 64), np.float32))
    with pytest.raises(BadInput, match=r"\[-1, 1\]"):
        recogniser.logits(np.full((1, 3, 128, 128), 200, np.float32))


def test_a_space_is_no_recogniser():
    with pytest.raises(BadModel, match="not a recogniser"):
        open_recogniser("vae-128")
    with pytest.raises(UnknownName, match="recogniser"):
        open_recogniser("recognizer")


def test_reads_real_photos(recogniser, celeba_root):
    test = read_celeba(celeba_root, "test").rows(slice(0, 300))
    probability = recogniser.probabilities(to_unit(cached_crops(test.paths, 128)))
    truth = test.attributes.table > 0
    assert ((probability > 0.5) == truth).mean() > 0.885
    for name in ("Male", "Smiling", "Eyeglasses", "Blond_Hair"):
        column = NAMES.index(name)
        assert roc_auc_score(truth[:, column], probability[:, column]) > 0.93

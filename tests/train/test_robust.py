"""Disturbances in training, and recognisers that begin with another's weights."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from mien.errors import BadInput, UnknownName
from mien.recognise.recogniser import open_recogniser
from mien.train import recogniser
from mien.train.recogniser import Recipe, _begun
from mien.train.robust import disturbed
from mien.train.run import generator
from tests.celeba import noise


def test_of_a_linear_loss_the_worst_is_its_blurred_slope():
    """From wherever it begins: one step of the radius, brought back to the ball."""
    slope = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 3, 64, 64))).float()
    faces = torch.zeros(1, 3, 64, 64)
    found = disturbed(lambda x: (x * slope).sum(), faces, 2.0, generator(0, 0))
    assert found.norm() <= 2.0001
    wanted = gaussian_filter(slope.numpy(), (0, 0, 1, 1), truncate=8)
    inner = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    angle = np.corrcoef(found.numpy()[inner].ravel(), wanted[inner].ravel())[0, 1]
    assert angle > 0.7  # the rest is where it began


def test_disturbed_faces_cost_more_than_shifted_at_random_and_repeat_with_their_generator():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 5), torch.nn.Tanh(), torch.nn.Flatten())
    faces = torch.rand(4, 3, 32, 32) * 2 - 1

    def loss(x):
        return network(x).square().mean()

    first, again = (disturbed(loss, faces, 3.0, generator(1, 5)) for _ in range(2))
    assert torch.equal(first, again)
    assert not first.requires_grad
    length = (first - faces).flatten(1).norm(dim=1)
    assert length.max() < 3.001
    random = torch.randn(faces.shape, generator=generator(1, 6))
    beside = faces + random * (length / random.flatten(1).norm(dim=1))[:, None, None, None]
    assert loss(first) > loss(beside)
    assert loss(first) > loss(faces)


def test_a_step_with_a_radius_costs_more_than_one_without():
    network = _begun(("Young", "Male"), Recipe(begin="recogniser")).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    labels = np.array([[1, -1], [-1, 1]], np.int8)
    plain, robust = (
        recogniser._step(network, pixels, labels, 0, Recipe(), radius) for radius in (0.0, 2.0)
    )
    assert robust > plain


def test_a_recogniser_begins_with_anothers_weights_for_some_names():
    names = ("Young", "Male")
    begun = _begun(names, Recipe(begin="recogniser", attributes=names)).eval()
    known = open_recogniser("recogniser")
    faces = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        wanted = known.network(faces)[:, [known.names.index(name) for name in names]]
        torch.testing.assert_close(begun(faces), wanted)
    assert all(value.requires_grad for value in begun.parameters())


def test_a_recogniser_that_does_not_fit_is_refused():
    with pytest.raises(UnknownName, match="attribute of begin=recogniser 'Redness'"):
        _begun(("Redness",), Recipe(begin="recogniser"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"begin": "judge"}, "begin=judge is another.*set architecture=efficientnet_lite0"),
        ({"attributes": ("Redness",)}, "unknown attribute 'Redness'"),
    ],
)
def test_what_does_not_fit_is_told_before_photos_are_read(tmp_path, monkeypatch, changes, sentence):
    layout = noise(tmp_path / "celeba", ["Male"], 2, 2)
    monkeypatch.setattr(recogniser, "cached_crops", lambda *_: pytest.fail("photos were read"))
    with pytest.raises((BadInput, UnknownName), match=sentence):
        recogniser.train(layout, tmp_path, "robust", Recipe(batch=2, **changes), lambda *_: None)

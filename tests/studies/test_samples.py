"""The samples study: resizing, and distances that order spaces as they must."""

import numpy as np
import pytest

from mien.errors import BadInput
from mien.faces.cache import to_bytes
from mien.measure import frechet
from mien.studies import samples
from mien.types import Latent


class Toy:
    """A space whose faces are noise of one brightness."""

    space, mark, size, frame = "z", "toy@0", 16, "celeba"

    def __init__(self, name, brightness):
        self.card, self.brightness = {"name": name}, brightness

    def sample(self, count, seed=0):
        values = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
        return Latent(values, self.space, self.mark)

    def decode(self, latent):
        flat = latent.values[:, :, None, None] * 0.1 + self.brightness
        return np.broadcast_to(flat, (len(flat), 3, 16, 16)).astype(np.float32)


def test_resizing_averages_blocks():
    faces = np.random.default_rng(0).uniform(-1, 1, (2, 3, 8, 8)).astype(np.float32)
    small = samples.resized(faces, 4)
    assert small.shape == (2, 3, 4, 4)
    assert small[1, 2, 3, 0] == pytest.approx(faces[1, 2, 6:8, 0:2].mean(), abs=1e-6)
    np.testing.assert_array_equal(samples.resized(faces, 8), faces)


def test_refuses_a_size_that_does_not_divide():
    with pytest.raises(BadInput, match="divisor"):
        samples.resized(np.zeros((1, 3, 8, 8), np.float32), 3)


def test_the_space_that_draws_like_the_photos_wins(tmp_path, monkeypatch):
    photos = to_bytes(Toy("photos", 0.0).decode(Toy("photos", 0.0).sample(250, 9)))
    monkeypatch.setattr(frechet, "cached_crops", lambda paths, size: photos)
    monkeypatch.setattr(samples, "cached_crops", lambda paths, size: photos)
    monkeypatch.setattr(samples, "read_celeba", lambda root, split: NoPhotos)
    monkeypatch.setattr(frechet, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(frechet, "face_features", lambda faces: faces.mean((2, 3)))
    spaces = [Toy("bright", 0.5), Toy("same", 0.0)]
    options = samples.Options(samples=150, size=8)
    rows = samples.run(tmp_path, spaces, options, tmp_path / "out", lambda *a: None)
    assert [row["space"] for row in rows] == ["bright", "same", "test photos"]
    assert [row["faces"] for row in rows] == [150, 150, 250]
    assert rows[0]["frechet_mobilenet"] == pytest.approx(3 * 0.5**2, rel=0.1)
    assert rows[1]["ratio"] < 0.1
    assert rows[0]["ratio"] == 1
    assert rows[2]["frechet_mobilenet"] == pytest.approx(0, abs=0.01)
    assert (tmp_path / "out" / "samples.md").read_text().count("|") > 20


class NoPhotos:
    """A split without photos."""

    paths = ()

"""The inversion study: an inverter that knows the answer wins, on every measure."""

import numpy as np
import pytest

from mien.directions import sefa
from mien.directions.contract import unlabelled
from mien.errors import BadInput, UnknownName
from mien.faces.cache import to_bytes
from mien.generators import open_space
from mien.studies import inversion
from mien.studies._inverters import subject
from mien.studies.inversion import Bench, Options, Subject
from mien.types import Attributes, Latent

COUNT = 8
OPTIONS = Options(
    photos=COUNT, edits=(("component_0", 1), ("component_1", 0)), faces=3, amount=2.0, batch=3
)


class Reader:
    """Sees component 0 in bright pictures, and component 1 in none."""

    names, size = ("component_0", "component_1"), 64

    def probabilities(self, faces):
        return np.stack([faces.mean((1, 2, 3)) > -2, np.zeros(len(faces))], 1).astype(np.float32)


class Data:
    """Faces whose labels say that either edit can be asked of all."""

    paths = ()
    attributes = Attributes(
        Reader.names, np.stack([-np.ones(COUNT), np.ones(COUNT)], 1).astype(np.int8)
    )

    def rows(self, keep):
        return self


@pytest.fixture
def space():
    return open_space("stylegan2-64")


@pytest.fixture
def known(space, monkeypatch):
    """Latents of faces that the study takes for photos."""
    latent = space.sample(COUNT, seed=5)
    photos = to_bytes(space.decode(latent))
    monkeypatch.setattr(inversion, "read_celeba", lambda root, split: Data())
    monkeypatch.setattr(inversion, "cached_crops", lambda paths, size: photos)
    return latent


def study(space, finders, folder):
    directions = sefa.find(unlabelled(space.sample(2), space), sefa.Options(components=2))
    bench = Bench(directions, Reader(), Reader())
    subjects = [Subject(name, space, find) for name, find in finders.items()]
    return inversion.run(folder, subjects, bench, OPTIONS, folder / "out", lambda *a: None)


def nearest(space, known):
    """An inverter that recognises drawings of known latents and of their edits."""
    seen = [(known.values, space.decode(known))]

    def find(faces):
        for values, drawn in seen:
            errors = np.square(drawn[None] - faces[:, None]).mean((2, 3, 4))
            if errors.min(1).max() < 1e-3:
                return Latent(values[errors.argmin(1)], known.space, known.model)
        raise AssertionError("an unknown face")

    return find, seen


def test_the_true_latents_beat_the_average(space, known, tmp_path, monkeypatch):
    find, seen = nearest(space, known)
    move = inversion.edit

    def remembered(latent, directions, amounts):
        moved = move(latent, directions, amounts)
        seen.append((moved.values, space.decode(moved)))
        return moved

    monkeypatch.setattr(inversion, "edit", remembered)

    def average(faces):
        values = np.zeros((len(faces), *known.values.shape[1:]), np.float32)
        values[:] = space.network.average.numpy()
        return Latent(values, known.space, known.model)

    best, worst = study(space, {"true": find, "average": average}, tmp_path)
    assert best.pixel < 1e-3 < worst.pixel
    assert best.perceptual < worst.perceptual
    assert best.identity > 0.99 > worst.identity
    assert best.consistency == pytest.approx(0, abs=1e-4)
    assert worst.consistency > 0.1  # it never sees that anything was edited
    assert best.success == pytest.approx(1.0)  # component 0 seen in all, 1 in none, as wanted
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "edits.csv", "inversion.csv", "inversion.md", "tradeoff.png",
    }  # fmt: skip
    assert "| true | 8 |" in (tmp_path / "out" / "inversion.md").read_text()
    assert len((tmp_path / "out" / "edits.csv").read_text().splitlines()) == 5


def test_a_descent_needs_no_encoder(space, known):
    faces = space.decode(known[slice(2)])
    few = subject(space, "optimise", Options(descent=2)).find(faces)
    assert few.values.shape == known.values[:2].shape
    assert few.model == space.mark


def test_refuses(space):
    with pytest.raises(UnknownName, match="hybrid"):
        subject(space, "hybird", OPTIONS)
    with pytest.raises(BadInput, match="no StyleGAN2"):
        subject(open_space("vae-128"), "encoder", OPTIONS)
    space.inverter = None
    with pytest.raises(BadInput, match="no encoder"):
        subject(space, "encoder", OPTIONS)

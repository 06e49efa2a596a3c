"""A linear decoder and a recogniser that reads single axes: the cheapest movement is known."""

from dataclasses import replace

import numpy as np
import pytest

from mien.directions import decoded, mean_difference
from mien.errors import BadInput, UnknownName
from tests.directions.toys import correlated

QUICK = decoded.Options(steps=150, pixels=0.0, spread=0.01)


class Linear:
    """Every one of the six values of a latent colours two neighbouring pixels of the face."""

    def render(self, values):
        return values.repeat_interleave(2, dim=1).view(-1, 3, 2, 2)


class Axes:
    """Reads A from axis 0 of the latent and B from axis 1, whatever else the face shows."""

    names, size = ("B", "A"), 2

    def score(self, faces):
        return faces.flatten(1)[:, [2, 0]] * 2


@pytest.fixture
def data(monkeypatch):
    monkeypatch.setattr(decoded, "open_recogniser", lambda name: Axes())
    return replace(correlated(600), source=Linear())


def test_what_only_comes_along_is_left_out(data):
    """A and B go together in nine of ten faces; only one axis each changes the face."""
    plain = mean_difference.find(data, mean_difference.Options())
    learned = decoded.find(data, QUICK)
    for name, axis in (("A", 0), ("B", 1)):
        own = learned.vectors[axis, learned.index(name)]
        other = learned.vectors[1 - axis, learned.index(name)]
        assert plain.vectors[1 - axis, plain.index(name)] > 0.5
        assert own > 0.85
        assert abs(other) < 0.3


def test_the_share_wanted_is_reached_without_waste(data):
    learned = decoded.find(data, QUICK)
    for column, name in enumerate(learned.names):
        here, labels = data.latent.values[:, column], data.attributes.column(name)
        for sign, units in ((1, learned.unit), (-1, learned.unit_down)):
            step = sign * units[column] * learned.vectors[column, column]
            agreed = (sign * (here[labels == -sign] + step) > 0).mean()
            assert 0.85 < agreed <= 1.0
            assert abs(step) < 8  # the means are 4 apart, one deviation is 1


def test_the_same_seed_learns_the_same(data):
    once, again = (decoded.find(data, replace(QUICK, steps=5)) for _ in range(2))
    np.testing.assert_array_equal(once.vectors, again.vectors)


def test_it_tells_how_far_it_is(data):
    told = []
    noted = replace(data, tell=lambda done, total, text: told.append((done, total)))
    decoded.find(noted, replace(QUICK, steps=3))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_refuses(data):
    with pytest.raises(BadInput, match="space"):
        decoded.find(replace(data, source=None), QUICK)
    with pytest.raises(BadInput, match="steps=0"):
        replace(QUICK, steps=0)
    with pytest.raises(BadInput, match="pixels=-1"):
        replace(QUICK, pixels=-1.0)
    strange = replace(data.attributes, names=("A", "Unheard_Of"))
    with pytest.raises(UnknownName, match="Unheard_Of"):
        decoded.find(replace(data, attributes=strange), QUICK)

"""Shares of translations that show what was asked, with a translator whose faults are known."""

import numpy as np
import pytest

from mien.measure import translation


class Painter:
    """Paints labels as levels of channels; never the last name, and forgets the first's photo."""

    def translate(self, faces, labels, part=0):
        made = faces.copy()
        made[:, 0] = labels[:, 0, None, None]
        made[:, 1] = labels[:, 1, None, None]
        return made


class Reader:
    """Reads channels as probabilities of names in another order."""

    names = ("c", "b", "a")

    def probabilities(self, faces):
        return faces.mean((2, 3))[:, ::-1]


def test_shares_count_what_was_asked_and_what_was_left_alone(monkeypatch):
    monkeypatch.setattr(translation, "embed", lambda faces: np.tile([0.6, 0.8], (len(faces), 1)))
    labels = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 1]], np.float32)
    faces = np.broadcast_to(labels[:, :, None, None], (4, 3, 2, 2)).copy()
    faces[0, 1] = 0  # a photo that does not show what its label says
    wanted = {}
    for i, name in enumerate("abc"):
        wanted[name] = labels.copy()
        wanted[name][:, i] = 1 - labels[:, i]
    found = translation.translation_table(Painter(), Reader(), faces, labels, wanted)
    table = found["targets"]
    assert [table[name]["success"] for name in "abc"] == [1, 1, 0]
    # of the names left alone the painter changes the first photo's b, wherever it paints
    assert [table[name]["kept"] for name in "abc"] == [7 / 8, 1, 7 / 8]
    assert table["a"]["identity"] == pytest.approx(1)
    assert found["reconstruction"] == pytest.approx(1 / 12 / 1, abs=1e-4)  # photo 0's b, for good

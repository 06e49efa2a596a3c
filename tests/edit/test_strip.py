import numpy as np
import pytest

from mien.directions import edit
from mien.edit.strip import strip
from mien.errors import BadInput
from tests.directions.toys import directions, latent


class LinearSpace:
    def decode(self, latents):
        return latents.values.reshape(-1, 3, 2, 2)


def test_each_face_is_the_edit_at_its_amount():
    generator = np.random.default_rng(0)
    face, found = latent(generator.normal(size=(1, 12))), directions(generator.normal(size=(12, 3)))
    amounts = [-1.0, 0.0, 0.5, 2.0]
    faces = strip(LinearSpace(), face, found, "B", amounts, ["A"])
    assert faces.shape == (4, 3, 2, 2)
    for row, amount in zip(faces, amounts, strict=True):
        want = LinearSpace().decode(edit(face, found, {"B": amount}, ["A"]))[0]
        np.testing.assert_allclose(row, want, atol=1e-6)
    np.testing.assert_array_equal(faces[1], face.values.reshape(3, 2, 2))


def test_one_face_and_one_amount_at_least():
    found = directions(np.eye(12)[:, :2])
    with pytest.raises(BadInput, match="2 latents were given"):
        strip(LinearSpace(), latent(np.zeros((2, 12))), found, "A", [1])
    with pytest.raises(BadInput, match="one amount or more"):
        strip(LinearSpace(), latent(np.zeros((1, 12))), found, "A", [])

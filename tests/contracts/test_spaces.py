"""What every embedded space must do, whatever its generator."""

import numpy as np
import pytest

from mien.checkpoint import assets, embedded, load_card, mark
from mien.errors import BadInput, SpaceMismatch
from mien.generators import open_space
from mien.types import Latent

SPACES = [name for name in embedded() if load_card(assets() / name)["kind"] == "space"]


@pytest.fixture(scope="module", params=SPACES)
def space(request):
    return open_space(request.param)


def encode(space, faces):
    """Latents, or a skip where the generator reads no photo and says what would."""
    try:
        return space.encode(faces)
    except BadInput as error:
        if "inverter" not in str(error):
            raise
        pytest.skip(f"{space.card['name']} has no encoder")


def test_something_is_embedded():
    assert "vae-128" in SPACES


def test_marks_name_the_weights(space):
    assert space.mark == mark(space.card)
    assert space.sample(1).model == space.mark


def test_samples_repeat_with_their_seed_and_decode_to_faces(space):
    latent = space.sample(3, seed=5)
    assert np.array_equal(latent.values, space.sample(3, seed=5).values)
    assert not np.array_equal(latent.values, space.sample(3, seed=6).values)
    assert list(latent.values.shape[1:]) == space.card["latent"]
    faces = space.decode(latent)
    assert faces.shape == (3, 3, space.size, space.size)
    assert faces.dtype == np.float32
    assert np.abs(faces).max() <= 1


def test_rows_do_not_depend_on_their_neighbours(space):
    latent = space.sample(5, seed=1)
    faces = space.decode(latent)
    alone = np.concatenate([space.decode(latent[n : n + 1]) for n in range(5)])
    np.testing.assert_allclose(faces, alone, atol=2e-5)
    together = encode(space, faces).values
    single = np.concatenate([encode(space, face[None]).values for face in faces])
    np.testing.assert_allclose(together, single, atol=1e-4)


def test_a_decoded_face_encodes_near_its_own_latent(space):
    latent = space.sample(20, seed=2)
    back = encode(space, space.decode(latent)).values
    gaps = np.linalg.norm((back[:, None] - latent.values[None]).reshape(20, 20, -1), axis=2)
    assert (gaps.argmin(axis=1) == np.arange(20)).all()


def test_nothing_in_nothing_out(space):
    assert len(space.decode(space.sample(0))) == 0
    assert len(encode(space, np.zeros((0, 3, space.size, space.size), np.float32))) == 0


def test_foreign_latents_are_refused(space):
    latent = space.sample(1)
    with pytest.raises(SpaceMismatch, match="encode or fit it again"):
        space.decode(Latent(latent.values, latent.space, "other@00000000"))


def test_wrong_faces_are_refused(space):
    encode(space, np.zeros((1, 3, space.size, space.size), np.float32))
    with pytest.raises(BadInput, match="px"):
        space.encode(np.zeros((1, 3, 16, 16), np.float32))
    with pytest.raises(BadInput, match=r"\[-1, 1\]"):
        space.encode(np.full((1, 3, space.size, space.size), 255, np.float32))

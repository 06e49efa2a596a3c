"""The identity embedding on decoded and on real faces."""

import numpy as np
import pytest

from mien.errors import BadInput
from mien.faces.cache import cached_crops, to_unit
from mien.faces.celeba import read_celeba
from mien.measure.identity import separation
from mien.recognise.identity import embed, similarity


def test_embeddings_have_unit_length_and_do_not_depend_on_the_batch(celeba_root):
    paths = read_celeba(celeba_root, "test").paths[:5]
    faces = to_unit(cached_crops(paths, 128))
    together, alone = embed(faces), np.concatenate([embed(face[None]) for face in faces])
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(similarity(together, alone), 1, atol=1e-5)


def test_tells_people_apart_on_real_photos(celeba_root):
    test = read_celeba(celeba_root, "test")
    people = np.unique(test.identities)[:12]
    chosen = test.rows(np.isin(test.identities, people))
    found = separation(embed(to_unit(cached_crops(chosen.paths, 128))), chosen.identities)
    assert found.auc > 0.95
    assert found.same > found.different + 0.04


def test_wrong_range_is_refused():
    with pytest.raises(BadInput, match=r"\[-1, 1\]"):
        embed(np.full((1, 3, 128, 128), 9, np.float32))

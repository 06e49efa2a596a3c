import subprocess
import sys

import numpy as np
import pytest

from mien.directions.contract import needs_labels, unlabelled
from mien.rooms import available, open_part
from tests.directions.toys import Affine, correlated

PARTS = available("directions")
LABELLED = [name for name in PARTS if needs_labels(open_part("directions", name))]
NAMELESS = sorted({*PARTS} - {*LABELLED})
LABELLED.remove("decoded")  # looks at faces: test_decoded.py


def test_the_room_lists_its_finders_only():
    assert {"mean_difference", "orthogonal_basis", "ridge", "hyperplane"} <= set(LABELLED)
    assert NAMELESS == ["pca", "pca_prior", "sefa"]


@pytest.mark.parametrize("name", LABELLED)
def test_every_finder_finds_unit_directions_that_separate(name):
    part, data = open_part("directions", name), correlated()
    found = part.find(data, part.Options())
    assert found.names == data.attributes.names
    check(found, data, name)
    scores = data.latent.values @ found.vectors + found.bias
    assert (np.sign(scores) == data.attributes.table).mean() > 0.9


@pytest.mark.parametrize("name", NAMELESS)
def test_finders_without_labels_number_their_components(name):
    part = open_part("directions", name)
    data = unlabelled(correlated().latent, Affine(6))
    found = part.find(data, part.Options(components=4))
    assert found.names == ("component_0", "component_1", "component_2", "component_3")
    check(found, data, name)
    again = part.find(data, part.Options(components=4))
    np.testing.assert_array_equal(found.vectors, again.vectors)
    largest = np.abs(found.vectors).argmax(axis=0)
    assert (found.vectors[largest, np.arange(4)] > 0).all()
    assert found.orthonormal


def check(found, data, name):
    assert (found.space, found.model) == (data.latent.space, data.latent.model)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=0), 1, atol=1e-5)
    assert (found.low < found.high).all()
    assert (found.unit > 0).all()
    assert found.provenance["method"] == name


def test_editing_needs_none_of_the_heavy_libraries():
    code = (
        "import sys, mien.directions, mien.edit.presence, mien.edit.strip, mien.edit.recipe;"
        "print(sorted({'torch', 'scipy', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"

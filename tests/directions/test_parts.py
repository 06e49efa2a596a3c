import subprocess
import sys

import numpy as np
import pytest

from mien.rooms import available, open_part
from tests.directions.toys import correlated

PARTS = available("directions")


def test_the_room_lists_its_finders_only():
    assert {"mean_difference", "orthogonal_basis", "ridge"} <= set(PARTS)


@pytest.mark.parametrize("name", PARTS)
def test_every_finder_finds_unit_directions_that_separate(name):
    part, data = open_part("directions", name), correlated()
    found = part.find(data, part.Options())
    assert found.names == data.attributes.names
    assert (found.space, found.model) == (data.latent.space, data.latent.model)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=0), 1, atol=1e-5)
    assert (found.low < found.high).all()
    assert (found.unit > 0).all()
    scores = data.latent.values @ found.vectors + found.bias
    assert (np.sign(scores) == data.attributes.table).mean() > 0.9
    assert found.provenance["method"] == name


def test_editing_needs_none_of_the_heavy_libraries():
    code = (
        "import sys, mien.directions, mien.edit.presence, mien.edit.strip, mien.edit.recipe;"
        "print(sorted({'torch', 'scipy', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"

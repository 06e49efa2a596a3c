import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest

from mien.directions.contract import needs_labels, unlabelled
from mien.errors import BadInput
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


@pytest.mark.parametrize("name", PARTS)
def test_every_number_of_every_finder_is_checked(name):
    options = open_part("directions", name).Options
    numbers = [field for field in fields(options) if type(field.default) in (int, float)]
    for field in numbers:
        wrong = [np.nan, np.inf] if type(field.default) is float else [-1]
        for value in wrong:
            with pytest.raises(BadInput, match=f"^{field.name}={value}: give "):
                options(**{field.name: value})


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("mean_difference", {"fewest": 0}, {"fewest": 1}),
        ("pca", {"components": 0}, {"components": 1}),
        ("pca_prior", {"samples": 1}, {"samples": 2}),
        ("sefa", {"components": 0}, {"components": 1}),
        ("ridge", {"shrinkage": 1.1}, {"shrinkage": 1.0}),
        ("ridge", {"label_ridge": -0.1}, {"label_ridge": 0.0}),
        ("hyperplane", {"ratio": 0.0}, {"ratio": 50.0}),
        ("hyperplane", {"train": 1.1}, {"train": 1.0}),
        ("hyperplane", {"invalid": np.nan}, {"invalid": -9.0}),
        ("hyperplane", {"C": 0.0}, {"C": 1e6}),
        ("hyperplane", {"tolerance": 0.0}, {"tolerance": 1e-9}),
        ("decoded", {"wanted": 1.1}, {"wanted": 0.0}),
        ("decoded", {"rate": 0.0}, {"margin": -1.0}),
        ("decoded", {"start": 0.0}, {"pixels": 0.0}),
        ("orthogonal_basis", {"learning_rate": 0.0}, {"l1": 0.0}),
        ("orthogonal_basis", {"batch": 0}, {"batch": None}),
        ("orthogonal_basis", {"validation": 1.0}, {"validation": 0.0}),
    ],
)
def test_what_a_number_may_be(name, wrong, right):
    options = open_part("directions", name).Options
    [(field, value)] = wrong.items()
    with pytest.raises(BadInput, match=f"^{field}={value}"):
        options(**wrong)
    options(**right)


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

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from mien.directions import bounded, mean_difference, open_directions, save_directions
from mien.directions._distribution import fit_distribution
from mien.directions.contract import BoundedDirections
from mien.errors import BadInput, BadModel, UnknownName
from tests.directions.toys import correlated

ARRAYS = ("vectors", "bias", "low", "high", "unit")


@pytest.fixture(scope="module")
def found():
    return mean_difference.find(correlated(), mean_difference.Options(balance=("A",)))


def test_what_is_opened_is_what_was_saved(tmp_path, found):
    save_directions(tmp_path / "toy", found)
    back = open_directions(tmp_path / "toy")
    for key in ARRAYS:
        np.testing.assert_array_equal(getattr(back, key), getattr(found, key))
    for key in ("names", "space", "model", "orthonormal", "provenance"):
        assert getattr(back, key) == getattr(found, key)
    assert not isinstance(back, BoundedDirections)


def test_the_card_tells_what_the_tensors_are(tmp_path, found):
    save_directions(tmp_path / "toy", found)
    card = json.loads((tmp_path / "toy" / "card.json").read_text())
    assert card["kind"] == "directions"
    assert card["attributes"] == ["A", "B"]
    assert (card["space"], card["model"], card["method"]) == ("z", "toy@0", "mean_difference")
    assert card["orthonormal"] is False
    tensors = load_file(tmp_path / "toy" / "model.safetensors")
    assert set(tensors) == set(ARRAYS)
    assert all(tensor.dtype == np.float32 for tensor in tensors.values())


def test_the_distribution_travels_along(tmp_path, found):
    known = fit_distribution(correlated().latent, axes=4)
    save_directions(tmp_path / "toy", bounded(found, known))
    back = open_directions(tmp_path / "toy")
    assert isinstance(back, BoundedDirections)
    for key in ("mean", "axes", "scales", "rest", "radius"):
        np.testing.assert_allclose(
            getattr(back.distribution, key), getattr(known, key), rtol=1e-6, atol=1e-7
        )


def test_every_axis_kept_leaves_no_rest(tmp_path, found):
    known = fit_distribution(correlated().latent)
    save_directions(tmp_path / "toy", bounded(found, known))
    assert open_directions(tmp_path / "toy").distribution.rest == float("inf")


def test_a_folder_of_another_kind_or_a_damaged_one(tmp_path, found):
    with pytest.raises(UnknownName, match="unknown model"):
        open_directions(tmp_path / "nowhere")
    save_directions(tmp_path / "toy", found)
    path = tmp_path / "toy" / "card.json"
    card = json.loads(path.read_text())
    path.write_text(json.dumps({**card, "kind": "space"}))
    with pytest.raises(BadModel, match="is a space, not directions"):
        open_directions(tmp_path / "toy")
    path.write_text(json.dumps({**card, "attributes": ["A"]}))
    with pytest.raises(BadModel, match="does not fit"):
        open_directions(tmp_path / "toy")
    path.write_text(json.dumps({key: card[key] for key in card if key != "space"}))
    with pytest.raises(BadModel, match="lacks 'space'"):
        open_directions(tmp_path / "toy")


def test_a_provenance_must_be_plain(tmp_path, found):
    with pytest.raises(BadInput, match="not plain JSON"):
        save_directions(tmp_path / "toy", replace(found, provenance={"when": object()}))
    assert not (tmp_path / "toy").exists()

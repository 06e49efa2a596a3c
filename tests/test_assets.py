"""What comes with the package."""

import pytest

from mien.checkpoint import assets, embedded, load_card

MODELS = [name for name in embedded() if load_card(assets() / name)["kind"] != "directions"]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_called_as_its_folder_is(name):
    """Pictures' metadata and files of studies are named by the card."""
    assert load_card(assets() / name)["name"] == name

"""SeFa from file to picture: the original's weights imported, factorised, edited, decoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mien.directions import edit, sefa
from mien.directions.contract import unlabelled
from mien.generators import open_space
from mien.published import import_model
from mien.types import Latent
from tests.directions.test_sefa import CASES, SETS
from tests.parity import fill

PARITY = Path(__file__).resolve().parents[1] / "parity"


@pytest.fixture(scope="module")
def fixture():
    return fill.load(PARITY / "sefa_factorize")


@pytest.fixture(scope="module")
def spaces(fixture, tmp_path_factory):
    """The three families as imported model folders."""
    root, opened = tmp_path_factory.mktemp("models"), {}
    for module in fixture.manifest["modules"]:
        held = {key: torch.from_numpy(np.array(v)) for key, v in fixture.state(module).items()}
        torch.save({"generator_smooth": held}, root / f"{module}.pth")
        import_model(root / f"{module}.pth", root / module, module)
        opened[module] = open_space(root / module)
    return opened


@pytest.mark.parametrize(("module", "chosen"), CASES)
def test_the_edited_picture_equals_the_originals(fixture, spaces, module, chosen):
    space, config = spaces[module], fixture.manifest["config"]
    code = fixture.input("code_z" if module == "pggan" else "code_wp")
    latent = Latent(code, space.space, space.mark)
    options = sefa.Options(layers=SETS[chosen], components=config["K"])
    found = sefa.find(unlabelled(latent, space), options)
    moved = edit(latent, found, {f"component_{config['k']}": config["d"]})
    draw = space.network if module == "pggan" else space.network.synthesis
    with torch.inference_mode():
        picture = draw(torch.from_numpy(moved.values)).numpy()
    assert fixture.check(f"{module}.{chosen}.edited_image", picture)[1]
    layers = fixture.output(f"{module}.{chosen}.layers")
    np.testing.assert_array_equal(found.provenance["rows"], layers)


@pytest.mark.parametrize("module", ["stylegan", "stylegan2"])
def test_layers_of_the_edit_choose_among_those_factorised(spaces, module):
    space = spaces[module]
    latent = space.sample(2)
    found = sefa.find(unlabelled(latent, space), sefa.Options(components=3))
    moved = edit(latent, found, {"component_0": 2}, layers="0-1").values - latent.values
    assert np.abs(moved[:, :2]).max() > 0.1
    assert not moved[:, 2:].any()

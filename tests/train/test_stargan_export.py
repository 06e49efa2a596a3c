"""From CelebA's layout to a translator's model folder."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mien.errors import BadInput, BadModel, UnknownName
from mien.generators.stargan import open_translator
from mien.train import stargan
from mien.train._stargan_data import celeba_test, read_sources
from tests import celeba as celeba_of
from tests.train.test_stargan import TOY

NAMES = ("Black_Hair", "Blond_Hair", "Male")
RECIPE = replace(TOY, attributes=NAMES, steps=4, decay_steps=2, every=2, watch_every=4, tested=4)


@pytest.fixture(scope="module")
def celeba(tmp_path_factory):
    """Ten train photos and four test photos of noise."""
    return celeba_of.noise(tmp_path_factory.mktemp("celeba"), NAMES, train=10, test=4)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))


def run(celeba, folder, recipe, name="model"):
    return stargan.train(celeba, folder, name, recipe, lambda *a: None)


def test_a_training_ends_in_a_translator(tmp_path, celeba):
    card = run(celeba, tmp_path / "run", RECIPE)
    assert (card["kind"], card["architecture"], card["steps"]) == ("translator", "stargan", 4)
    model = open_translator(tmp_path / "run" / "model")
    assert (model.names, model.size, model.frame) == (NAMES, 16, "celeba")
    faces = np.random.default_rng(1).uniform(-1, 1, (19, 3, 16, 16)).astype(np.float32)
    labels = np.eye(3, dtype=np.float32)[np.arange(19) % 3]
    made = model.translate(faces, labels)
    assert made.shape == faces.shape
    assert np.abs(made).max() <= 1
    np.testing.assert_allclose(model.translate(faces[17:], labels[17:]), made[17:], atol=1e-5)
    assert model.translate(faces[:0], labels[:0]).shape == (0, 3, 16, 16)
    with pytest.raises(BadInput, match="faces are 8 px, model reads 16"):
        model.translate(faces[:, :, :8, :8], labels)
    with pytest.raises(BadInput, match=r"labels has shape \[19, 2\], expected \[19, 3\]"):
        model.translate(faces, labels[:, :2])


def test_exported_weights_are_the_average(tmp_path, celeba):
    run(celeba, tmp_path / "run", RECIPE)
    saved = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    model = open_translator(tmp_path / "run" / "model")
    for key, value in model.network.state_dict().items():
        average = saved["averaged"][f"module.{key}"]
        assert torch.equal(value, average.half().float()), key
    moved = [
        k
        for k, v in saved["generator"].items()
        if not torch.equal(v, saved["averaged"][f"module.{k}"])
    ]
    assert moved


def test_a_gain_multiplies_what_the_exported_model_adds(tmp_path, celeba):
    recipe = replace(RECIPE, residual=True)
    run(celeba, tmp_path / "run", recipe)
    plain = open_translator(tmp_path / "run" / "model").network
    card = stargan.export(celeba, tmp_path / "run", "strong", replace(recipe, gain=1.5))
    assert card["recipe"]["gain"] == 1.5  # the card tells what was exported
    strong = open_translator(tmp_path / "run" / "strong").network
    faces, labels = torch.rand(3, 3, 16, 16) - 0.5, torch.eye(3)
    added = [network(faces, labels) - faces for network in (plain, strong)]
    torch.testing.assert_close(added[1], 1.5 * added[0], rtol=1e-2, atol=2e-3)  # float16 weights
    assert added[0].abs().mean() > 0.02
    with pytest.raises(BadInput, match="set residual=true"):
        replace(RECIPE, gain=1.5)


def test_accents_multiply_what_tables_hold_of_a_name(tmp_path, celeba):
    recipe = replace(RECIPE, condition="lookup")
    run(celeba, tmp_path / "run", recipe)
    plain = open_translator(tmp_path / "run" / "model")
    names = len(plain.names)
    accents = (1.0,) * (names - 1) + (1.5,)
    stargan.export(celeba, tmp_path / "run", "strong", replace(recipe, accents=accents))
    strong = open_translator(tmp_path / "run" / "strong")
    faces = np.random.default_rng(0).uniform(-1, 1, (2, 3, 16, 16)).astype(np.float32)
    asked = np.zeros((2, names), np.float32)
    asked[0, 0] = asked[1, -1] = 1
    wanted = plain.network(torch.from_numpy(faces), torch.from_numpy(asked * accents).float())
    found = strong.network(torch.from_numpy(faces), torch.from_numpy(asked))
    torch.testing.assert_close(found, wanted, atol=2e-2, rtol=0)  # weights are stored in fp16
    assert (found[1] - plain.network(torch.from_numpy(faces), torch.from_numpy(asked))[1]).any()
    with pytest.raises(BadInput, match="condition=lookup"):
        replace(RECIPE, accents=accents)
    for wrong in (2, 9):
        with pytest.raises(BadInput, match=f"accents has {wrong} numbers for {names} names"):
            stargan.export(celeba, tmp_path / "run", "x", replace(recipe, accents=(1.0,) * wrong))


def test_grids_show_every_photo_under_every_target(tmp_path, celeba):
    run(celeba, tmp_path / "run", RECIPE)
    with Image.open(tmp_path / "run" / "samples" / "00000004.png") as grid:
        assert grid.size == (16 * 4, 16 * 4)  # photo and three targets; four test photos
        pixels = np.asarray(grid)
    faces, _ = celeba_test(celeba, RECIPE, 4)
    np.testing.assert_allclose(pixels[:, :16], np.concatenate(faces), atol=1)


def test_shares_of_celeba_know_different_names(tmp_path, celeba):
    recipe = replace(RECIPE, joint=("Black_Hair+Blond_Hair", "Male"))
    first, second = read_sources(celeba, recipe)
    assert sorted([*first.rows, *second.rows]) == list(range(10))
    assert (first.part.names, second.part.names) == (("Black_Hair", "Blond_Hair"), ("Male",))
    assert second.labels[:, 0].tolist() == [float(row % 4 == 0) for row in second.rows]
    card = run(celeba, tmp_path / "run", recipe)
    assert card["options"]["labels"] == 5  # three names and the mask of two
    model = open_translator(tmp_path / "run" / "model")
    faces = np.zeros((2, 3, 16, 16), np.float32)
    assert model.translate(faces, np.ones((2, 1), np.float32), part=1).shape == faces.shape
    with Image.open(tmp_path / "run" / "samples" / "00000004.png") as grid:
        assert grid.size == (16 * 4, 16 * 4)


def test_one_share_is_learned_from_alone_as_in_a_joint_training(celeba):
    joint = replace(RECIPE, joint=("Black_Hair+Blond_Hair", "Male"))
    for number, wanted in enumerate(read_sources(celeba, joint), start=1):
        [alone] = read_sources(celeba, replace(joint, share=number))
        assert alone.rows.tolist() == wanted.rows.tolist()
        assert alone.part == wanted.part
        assert torch.equal(alone.labels, wanted.labels)
        [labels] = celeba_test(celeba, replace(joint, share=number), 4)[1]
        assert torch.equal(labels, celeba_test(celeba, joint, 4)[1][number - 1])
    for wrong in (replace(joint, share=0), RECIPE):
        with pytest.raises(BadInput, match=r"share=3 of [02] joint shares"):
            replace(wrong, share=3)


def test_what_does_not_fit_is_refused(tmp_path, celeba):
    with pytest.raises(UnknownName, match="did you mean Blond_Hair"):
        run(celeba, tmp_path / "a", replace(RECIPE, attributes=("Blonde_Hair",)))
    with pytest.raises(BadInput, match="has no checkpoint yet"):
        stargan.export(celeba, tmp_path / "none", "model", RECIPE)
    run(celeba, tmp_path / "run", RECIPE)
    with pytest.raises(BadInput, match="trained at other sizes"):
        stargan.export(celeba, tmp_path / "run", "model", replace(RECIPE, width=8))
    (tmp_path / "run" / "model" / "model.safetensors").write_bytes(b"")
    with pytest.raises(BadModel, match="not the file its card describes"):
        open_translator(tmp_path / "run" / "model")

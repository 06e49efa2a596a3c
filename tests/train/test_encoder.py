"""Encoders trained for a small generator of another domain: handwritten digits."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from mien.checkpoint import load_card, load_model, mark, save_model
from mien.errors import BadInput, BadModel, UnknownName
from mien.generators.stylegan2 import Architecture
from mien.recognise.arcface import ArcFace, open_arcface
from mien.recognise.moco import ResNet
from mien.train import encoder, stylegan2
from mien.train._encoder_state import Recipe, start
from mien.train.run import Run

SHAPE = Architecture(size=16, latent=16, layers=2, base=256, most=32)
RECIPE = Recipe(
    widths=(8, 8, 12, 16, 16), units=(1, 1, 1, 1), images=320, batch=16, recogniser="none",
    first=160, every_row=32, every=160, rate=3e-3,
)  # fmt: skip


@pytest.fixture(scope="module")
def digits():
    """uint8 [N, 16, 16, 3]."""
    pictures = load_digits().images[:512] / 16 * 255
    return np.kron(pictures, np.ones((2, 2)))[..., None].repeat(3, 3).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, digits):
    """A StyleGAN2 that has learned to draw digits of their principal components."""
    place = tmp_path_factory.mktemp("digits")
    scores = PCA(16, whiten=True, random_state=0).fit_transform(digits.reshape(len(digits), -1))
    recipe = stylegan2.Recipe(
        shape=SHAPE, images=4800, teach=4800, batch=16, watch_every=10**9, every=10**9
    )
    state = stylegan2.fit(
        digits, Run(place / "run", tensorboard=False), recipe, lambda *a: None,
        lambda *a: 0.0, torch.from_numpy(scores.astype(np.float32)),
    )  # fmt: skip
    network = state.averaged
    network.estimate_average()
    card = {
        "name": "digits", "kind": "space", "architecture": "stylegan2", "space": "w+",
        "options": vars(SHAPE), "latent": [SHAPE.styles, SHAPE.latent],
        "input": {"size": 16, "range": [-1, 1], "frame": "none"},
    }  # fmt: skip
    save_model(place / "digits", {k: v.numpy() for k, v in network.state_dict().items()}, card)
    return place / "digits"


def learn(digits, run, recipe, folder, progress=lambda *a: None):
    recipe = replace(recipe, generator=str(folder))
    target = encoder.target_of(recipe)
    run = Run(run, tensorboard=False)
    return encoder.fit(digits, run, recipe, target, progress), target


def lines(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", ["e4e", "psp"])
def test_digits_are_found_again(tmp_path, digits, folder, method):
    recipe = replace(RECIPE, method=method, images=3200, first=1600)
    state, target = learn(digits, tmp_path / "run", recipe, folder)
    with Image.open(tmp_path / "run" / "grids" / "00003200.png") as grid:
        assert grid.size == (8 * target.space.size, 2 * target.space.size)
    network = target.space.network
    pictures = torch.from_numpy(digits[:64].transpose(0, 3, 1, 2) / 127.5 - 1).float()
    with torch.no_grad():
        drawn = network.synthesis(state.network.eval()(pictures) + network.average)
        average = network.synthesis(network.spread(network.average[None]))
    error, guess = ((x - pictures).square().mean() for x in (drawn, average))
    assert error < 0.6 * guess
    assert error < (drawn.roll(1, 0) - pictures).square().mean()  # each finds its own


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(tmp_path, digits, folder):
    def stop(step, *rest):
        if step == 13:  # after the checkpoint of step 10, when the first row is learned
            raise KeyboardInterrupt

    whole, _ = learn(digits, tmp_path / "whole", RECIPE, folder)
    with pytest.raises(KeyboardInterrupt):
        learn(digits, tmp_path / "parts", RECIPE, folder, stop)
    parts, _ = learn(digits, tmp_path / "parts", RECIPE, folder)
    assert parts.network.stage == whole.network.stage
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(parts.network.state_dict()[name], value, rtol=0, atol=1e-5)
    assert lines(tmp_path / "parts")[-1] == pytest.approx(lines(tmp_path / "whole")[-1], rel=1e-4)


def test_a_run_is_exported_for_the_very_generator_it_saw(tmp_path, digits, folder):
    learn(digits, tmp_path / "run", replace(RECIPE, images=16), folder)
    tensors, card = load_model(folder)
    tensors["synthesis.constant"] += 1
    save_model(tmp_path / "tuned", tensors, card | {"latents_of": mark(card)})
    assert mark(load_card(tmp_path / "tuned")) == mark(card)
    recipe = replace(RECIPE, generator=str(tmp_path / "tuned"))
    with pytest.raises(BadInput, match=f"was trained for {mark(card)}"):
        encoder.export(tmp_path, tmp_path / "run", "e4e", recipe)


def test_rows_are_learned_one_after_the_other():
    recipe = Recipe(first=100, every_row=10)
    stages = [recipe.stage(done, 6) for done in (0, 99, 100, 109, 110, 129, 140, 10**6)]
    assert stages == [0, 0, 1, 1, 2, 3, 5, 5]
    assert Recipe(method="psp").stage(0, 6) == 5


def test_an_unknown_method_is_refused():
    with pytest.raises(UnknownName, match="method"):
        Recipe(method="restyle")


def test_arcface_is_kept_where_its_weights_are_given(tmp_path, digits, folder):
    torch.manual_seed(0)
    torch.save(ArcFace().state_dict(), tmp_path / "model_ir_se50.pth")
    recipe = replace(RECIPE, images=16, batch=4, arcface=str(tmp_path / "model_ir_se50.pth"))
    learn(digits, tmp_path / "run", recipe, folder)
    assert 0 < lines(tmp_path / "run")[-1]["identity"] < 2


def test_mocos_embedding_alone_pulls_the_drawings_to_their_pictures(digits, folder):
    recipe = replace(
        RECIPE, method="psp", generator=str(folder), pixel=0.0, feature=0.0, similar=1.0, images=800
    )
    torch.manual_seed(0)
    moco = ResNet((1, 1), 8).eval().requires_grad_(False)
    target = replace(encoder.target_of(recipe), moco=moco)
    shape = target.space.network.shape
    state = start(recipe, recipe.shape(shape.size, shape.styles, shape.latent))
    pictures = torch.from_numpy(digits[:4].transpose(0, 3, 1, 2) / 127.5 - 1).float()
    terms = [encoder.update(state, pictures, step, recipe, target) for step in range(8)]
    assert float(terms[-1]["similar"]) < 0.9 * float(terms[0]["similar"])
    with pytest.raises(BadInput, match="there is no none"):
        encoder.target_of(replace(recipe, moco="none.tar"))


def test_files_that_are_no_arcface_are_refused(tmp_path):
    with pytest.raises(BadInput, match="model_ir_se50"):
        open_arcface(tmp_path / "none.pth")
    torch.save({"fc.weight": torch.zeros(2)}, tmp_path / "other.pth")
    (tmp_path / "damaged.pth").write_bytes(b"PK\x03\x04 and no more")
    for name in ("other.pth", "damaged.pth"):
        with pytest.raises(BadModel, match=name):
            open_arcface(tmp_path / name)

"""StyleGAN2's recipe: same trajectory after a stop, averages, styles, export."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.checkpoint import load_model
from mien.errors import BadInput, UnknownName
from mien.generators.stylegan2 import Architecture, Generator
from mien.train import _stylegan2_export, stylegan2
from mien.train._adversaries import open_adversary
from mien.train._stylegan2_state import Recipe, State, average, start
from mien.train._stylegan2_watch import sample_faces, save_grid
from mien.train.run import Run, generator
from mien.train.stylegan2 import Batch, draw_styles, update

SMALL = Recipe(
    shape=Architecture(size=8, latent=6, layers=2, base=64, most=8),
    discriminator="own", batch=4, images=32, every=12, watch_every=16, r1_every=3,
    path=2.0, path_every=2, augmentation="adaptive", teach=0,
)  # fmt: skip
TRAINED = ("generator", "averaged", "adversary")


@pytest.fixture
def faces():
    return np.random.default_rng(0).integers(0, 255, (16, 8, 8, 3), np.uint8)


def fit(faces, folder, recipe=SMALL, stop_after=None):
    """Train; stop as an interruption would after `stop_after` steps."""

    def progress(step, steps, text):
        if step == stop_after:
            raise KeyboardInterrupt

    run, numbers = Run(folder, tensorboard=False), None
    if recipe.teach:
        numbers = torch.randn(len(faces), recipe.shape.latent, generator=generator(1, 1))
    return stylegan2.fit(faces, run, recipe, progress, count_photos, numbers)


def count_photos(network, images):
    return float(images)


def tensors(state: State):
    named = {part: getattr(state, part).state_dict() for part in TRAINED}
    return {f"{part}.{key}": value for part, found in named.items() for key, value in found.items()}


@pytest.mark.parametrize(("kind", "teach"), [("own", 0), ("projected", 0), ("own", 8), ("own", 20)])
def test_a_resumed_run_repeats_the_uninterrupted_one(tmp_path, faces, kind, teach):
    recipe = replace(SMALL, discriminator=kind, teach=teach, feature=0.0, ramp=8)
    if kind == "projected":  # four scales need 64 px
        shape = replace(SMALL.shape, size=64)
        recipe = replace(recipe, shape=shape, trunk="mobilenet_v2", images=20, path=0.0)
        faces = faces.repeat(8, axis=1).repeat(8, axis=2)
    whole = fit(faces, tmp_path / "whole", recipe)
    with pytest.raises(KeyboardInterrupt):
        fit(faces, tmp_path / "parts", recipe, stop_after=4)
    saved = Run(tmp_path / "parts", tensorboard=False).read()
    assert saved["step"] == 3  # the fourth step is lost and done again
    parts = fit(faces, tmp_path / "parts", recipe)
    got, want = tensors(parts), tensors(whole)
    for key, value in want.items():
        torch.testing.assert_close(got[key], value, rtol=1e-4, atol=1e-5, msg=key)
    assert parts.adaptive.share == whole.adaptive.share
    logs = [(tmp_path / run / "log.jsonl").read_text() for run in ("whole", "parts")]
    assert [json.loads(line)["step"] for line in logs[0].splitlines()] == [
        json.loads(line)["step"] for line in logs[1].splitlines()
    ]


def test_both_networks_learn_and_only_theirs(faces):
    state = start(replace(SMALL, augmentation="none"))
    before = {key: value.clone() for key, value in tensors(state).items()}
    terms = update(state, Batch(torch.from_numpy(stylegan2.to_unit(faces[:4]))), 0, SMALL)
    assert {"critic", "adversary", "r1", "path"} <= set(terms)
    after = tensors(state)
    for part in ("generator.", "adversary."):
        weights = [key for key in before if key.startswith(part) and key.endswith("weight")]
        assert all(not torch.equal(before[key], after[key]) for key in weights)


def test_frozen_features_stay_frozen():
    shape = replace(SMALL.shape, size=64)
    state = start(replace(SMALL, shape=shape, discriminator="projected", trunk="mobilenet_v2"))
    before = {key: value.clone() for key, value in state.adversary.state_dict().items()}
    recipe = replace(SMALL, shape=shape, discriminator="projected")
    update(state, Batch(torch.rand(4, 3, 64, 64) * 2 - 1), 1, recipe)
    after = state.adversary.state_dict()
    fixed = [key for key in before if "features" in key or "mixing" in key]
    assert fixed
    assert all(torch.equal(before[key], after[key]) for key in fixed)
    assert not any(p.requires_grad for p in state.adversary.network.features.parameters())


def test_averages_forget_half_after_their_half_life():
    recipe = replace(SMALL, average=40)
    state = start(recipe)
    with torch.no_grad():
        for slow, quick in zip(
            state.averaged.parameters(), state.generator.parameters(), strict=True
        ):
            slow.fill_(1.0)
            quick.fill_(0.0)
    for _ in range(10):  # of 4 photos each
        average(state, recipe, 10_000)
    for slow in state.averaged.parameters():
        torch.testing.assert_close(slow, torch.full_like(slow, 0.5))


def test_styles_mix_at_one_crossover():
    network = Generator(SMALL.shape)
    for step in range(8):
        styles = draw_styles(network, 5, 1.0, generator(0, step))
        assert styles.shape == (5, 4, 6)
        changes = (styles[:, 1:] != styles[:, :-1]).any(2)
        assert (changes.sum(1) == 1).all()
        plain = draw_styles(network, 5, 0.0, generator(0, step))
        assert torch.equal(plain[:, 0], styles[:, 0])
        assert (plain == plain[:, :1]).all()


def test_drawing_moves_the_average_towards_the_styles():
    network = Generator(SMALL.shape)
    first = draw_styles(network, 50, 0.0, generator(0, 0))
    torch.testing.assert_close(network.average, 0.005 * first[:, 0].mean(0))


def test_samples_repeat_and_truncation_brings_them_together(tmp_path):
    network = Generator(SMALL.shape).requires_grad_(False)
    network.estimate_average()

    def drawn(truncation):
        return np.concatenate(list(sample_faces(network, 60, 3, truncation)))

    assert drawn(1.0).shape == (60, 3, 8, 8)
    np.testing.assert_array_equal(drawn(1.0), drawn(1.0))
    assert drawn(0.2).std(0).mean() < drawn(1.0).std(0).mean() / 2
    save_grid(tmp_path / "grid.png", network)
    from PIL import Image

    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (64, 64)


def test_exported_folder_holds_the_averaged_network(tmp_path, faces, monkeypatch):
    state = fit(faces, tmp_path)
    monkeypatch.setattr(_stylegan2_export, "distance", lambda network, paths, samples: 1.25)
    monkeypatch.setattr(_stylegan2_export, "read_celeba", lambda root, split: SMALL_DATA)
    card = _stylegan2_export.export(tmp_path, tmp_path, "tiny", SMALL)
    stored, read = load_model(tmp_path / "tiny")
    assert read["metrics"] == {"samples": SMALL.measured, "frechet_mobilenet": 1.25}
    assert read["latent"] == [4, 6]
    assert card["images"] == 32
    assert card["curve"] == [[16, 16.0], [32, 32.0]]
    network = Generator(
        Architecture(**(read["options"] | {"taps": tuple(read["options"]["taps"])}))
    )
    network.load_state_dict({key: torch.from_numpy(value) for key, value in stored.items()})
    for key, value in state.averaged.named_parameters():
        torch.testing.assert_close(network.get_parameter(key), value, rtol=1e-3, atol=1e-5)
    assert (tmp_path / "tiny" / "samples.png").is_file()


class SMALL_DATA:  # noqa: N801
    """A data set without photos."""

    paths = ()


def test_no_checkpoint_no_export(tmp_path):
    with pytest.raises(BadInput, match="no checkpoint"):
        _stylegan2_export.export(tmp_path, tmp_path, "tiny", SMALL)


def test_unknown_discriminator_is_named():
    with pytest.raises(UnknownName, match="projected"):
        open_adversary("projectd", SMALL.shape, "mobilenet_v2", compiled=False)

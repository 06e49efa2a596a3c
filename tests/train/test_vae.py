"""The VAE's recipe: its losses by closed forms, and resuming to the same trajectory."""

import json

import numpy as np
import pytest
import torch

from mien.generators.vae import Architecture, Network
from mien.recognise import mobilenet_v2
from mien.recognise.imagenet import load_trunk
from mien.train import vae
from mien.train.perceptual import FeatureLoss
from mien.train.run import Run

SMALL = vae.Recipe(
    shape=Architecture(size=64, latent=8, widths=(8, 8, 8, 8, 8)),
    half_epochs=1, full_epochs=1, batch=4, every=3, warm=2, window=48,
)  # fmt: skip


@pytest.fixture(scope="module")
def features():
    return FeatureLoss(load_trunk(mobilenet_v2))


@pytest.fixture
def faces():
    coarse = np.random.default_rng(0).integers(0, 255, (16, 8, 8, 3), np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


def fit(faces, folder, stop_after=None):
    """Train; stop as an interruption would after `stop_after` steps."""

    def progress(step, steps, text):
        if step == stop_after:
            raise KeyboardInterrupt

    return vae._fit(faces, Run(folder, tensorboard=False), SMALL, progress)


def test_a_resumed_run_repeats_the_uninterrupted_one(tmp_path, faces, monkeypatch):
    record = {}
    original = vae._update

    def recorded(state, loss, rate):
        record.setdefault(name, []).append(loss.item())
        original(state, loss, rate)

    monkeypatch.setattr(vae, "_update", recorded)
    name = "whole"
    whole = fit(faces, tmp_path / "whole")
    name = "parts"
    with pytest.raises(KeyboardInterrupt):
        fit(faces, tmp_path / "parts", stop_after=5)
    del record["parts"][3:]  # steps after the checkpoint at 3 are done again
    resumed = fit(faces, tmp_path / "parts")
    assert record["parts"] == pytest.approx(record["whole"], rel=1e-5)
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[key], value, msg=key)


def test_kl_is_torchs(features, faces):
    torch.manual_seed(0)
    network = Network(SMALL.shape).eval()
    batch = torch.from_numpy(vae.to_unit(faces[:4]))
    got = vae.losses(network, features, batch, 0, SMALL)["kl"]
    from mien.train.augment import flip
    from mien.train.run import generator

    with torch.autocast("cpu", torch.bfloat16):
        mean, log_variance = network.encoder(flip(batch, generator(SMALL.seed, 0)))
    posterior = torch.distributions.Normal(mean, torch.exp(log_variance / 2))
    prior = torch.distributions.Normal(torch.zeros(()), torch.ones(()))
    want = torch.distributions.kl_divergence(posterior, prior).sum(1).mean()
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_loss_is_the_weighted_sum_of_its_terms(features, faces):
    torch.manual_seed(0)
    terms = vae.losses(Network(SMALL.shape), features, torch.from_numpy(vae.to_unit(faces[:4])),
                       10, SMALL)  # fmt: skip
    want = terms["pixel"] + SMALL.feature * terms["feature"] + SMALL.kl * terms["kl"]
    torch.testing.assert_close(terms["loss"], want)


def test_deep_feature_loss_is_zero_for_equal_faces_and_gives_gradients(features, faces):
    want = torch.from_numpy(vae.to_unit(faces[:2]))
    got = (want * 0.9).requires_grad_()
    assert features(want, want) == 0
    (gradient,) = torch.autograd.grad(features(got, want), got)
    assert gradient.abs().sum() > 0


def test_rate_warms_up_and_ends_at_a_fiftieth():
    recipe = vae.Recipe(warm=10)
    rates = [vae.rate(step, 1000, recipe) for step in range(1000)]
    assert rates[0] == pytest.approx(recipe.rate / 10)
    assert max(rates) == pytest.approx(recipe.rate)
    assert rates[-1] == pytest.approx(recipe.rate / 50, rel=0.01)
    assert np.argmax(rates) in (9, 10)


def test_prior_has_the_moments_of_the_encoded_faces(faces):
    torch.manual_seed(0)
    network = Network(SMALL.shape).eval()
    mean, factor = vae._fit_prior(network, faces)
    with torch.no_grad():
        values = network.encoder(torch.from_numpy(vae.to_unit(faces)))[0].double().numpy()
    np.testing.assert_allclose(mean, values.mean(0), atol=1e-5)
    np.testing.assert_allclose(factor @ factor.T, np.cov(values, rowvar=False), atol=1e-4)


def test_log_has_every_term(tmp_path, faces):
    fit(np.concatenate([faces] * 3), tmp_path)
    line = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[0])
    assert set(line) == {"step", "loss", "pixel", "feature", "kl"}

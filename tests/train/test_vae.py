"""The VAE's recipe: its losses by closed forms, and resuming to the same trajectory."""

import json

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from mien.generators.vae import Architecture, Network
from mien.recognise import mobilenet_v2
from mien.recognise.deep_features import FeatureLoss
from mien.recognise.imagenet import load_trunk
from mien.runtime.precision import quickest
from mien.train import vae
from mien.train._vae_inner import fit_inner
from mien.train._vae_state import Weights, schedule
from mien.train.adversarial import critic_hinge
from mien.train.patches import PatchCritic, weighed
from mien.train.run import Run

SMALL = vae.Recipe(
    shape=Architecture(size=64, latent=8, inner=3, widths=(8, 8, 8, 8, 8)),
    half_epochs=0.5, full_epochs=0.5, fine_epochs=1, batch=4, every=3, warm=2, window=48,
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
    assert record["parts"] == pytest.approx(record["whole"], rel=1e-4)
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[key], value, msg=key)


def test_kl_is_torchs(features, faces):
    torch.manual_seed(0)
    network = Network(SMALL.shape).eval()
    batch = torch.from_numpy(vae.to_unit(faces[:4]))
    seen = vae.through(network, batch, 0, SMALL)
    got = vae.losses(seen, features, SMALL.kl, SMALL)["kl"]
    from mien.train.augment import flip
    from mien.train.run import generator

    with quickest():
        mean, log_variance = network.encoder(flip(batch, generator(SMALL.seed, 0)))
    posterior = torch.distributions.Normal(mean, torch.exp(log_variance / 2))
    prior = torch.distributions.Normal(torch.zeros(()), torch.ones(()))
    want = torch.distributions.kl_divergence(posterior, prior).sum(1).mean()
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_loss_is_the_weighted_sum_of_its_terms(features, faces):
    torch.manual_seed(0)
    seen = vae.through(Network(SMALL.shape), torch.from_numpy(vae.to_unit(faces[:4])), 10, SMALL)
    terms = vae.losses(seen, features, 0.5, SMALL)
    want = terms["pixel"] + SMALL.feature * terms["feature"] + 0.5 * terms["kl"]
    torch.testing.assert_close(terms["loss"], want)


def gradients(network, loss):
    network.zero_grad()
    loss.backward(retain_graph=True)
    return torch.cat([p.grad.flatten().clone() for p in network.parameters() if p.grad is not None])


def test_sharpening_by_nothing_leaves_the_gradient_and_by_something_adds_the_critics(
    features, faces
):
    torch.manual_seed(0)
    network, critic = Network(SMALL.shape), PatchCritic()
    batch = torch.from_numpy(vae.to_unit(faces[:4]))
    seen = vae.through(network, batch, 0, SMALL)
    terms = vae.losses(seen, features, 1e-3, SMALL)
    plain, none = Weights(1e-3, 1e-3, 0.0), Weights(1e-3, 1e-3, 0.5)
    want = gradients(network, terms["loss"])
    with pytest.MonkeyPatch.context() as patch:
        grad = torch.autograd.grad
        patch.setattr(torch.autograd, "grad", lambda *a, **k: grad(*a, **k, retain_graph=True))
        same = gradients(network, vae._sharpened(critic, seen, terms, plain, SMALL))
        other = gradients(network, vae._sharpened(critic, seen, terms, none, SMALL))
    torch.testing.assert_close(same, want, rtol=1e-3, atol=1e-6)
    assert (other - want).norm() > 0.05 * want.norm()


def test_the_second_gradient_is_scaled_to_a_share_of_the_first():
    torch.manual_seed(0)
    wanted, other = torch.randn(2, 3), 100 * torch.randn(2, 3)
    added = weighed(wanted, other, 0.25) - wanted
    torch.testing.assert_close(added.norm(), 0.25 * wanted.norm())
    torch.testing.assert_close(added / added.norm(), other / other.norm())
    assert torch.equal(weighed(wanted, torch.zeros(2, 3), 0.25), wanted)


def test_a_patch_critic_learns_to_tell_noise_from_flat_faces():
    torch.manual_seed(0)
    critic = PatchCritic()
    optimiser = torch.optim.Adam(critic.parameters(), 2e-3)
    for _ in range(40):
        real, fake = torch.randn(4, 3, 64, 64).clamp(-1, 1), torch.zeros(4, 3, 64, 64)
        loss = critic_hinge([critic(real)], [critic(fake)])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert critic(real).shape == (4, 1, 8, 8)
    assert critic(real).mean() > critic(fake).mean() + 1


def test_deep_feature_loss_is_zero_for_equal_faces_and_gives_gradients(features, faces):
    want = torch.from_numpy(vae.to_unit(faces[:2]))
    got = (want * 0.9).requires_grad_()
    assert features(want, want) == 0
    (gradient,) = torch.autograd.grad(features(got, want), got)
    assert gradient.abs().sum() > 0


def test_rates_warm_up_and_fall_to_a_fiftieth_twice():
    recipe = vae.Recipe(warm=10)
    steps = [schedule(step, (300, 600, 1000), recipe) for step in range(1000)]
    for part, peak in ((steps[:600], recipe.rate), (steps[600:], recipe.fine_rate)):
        rates = [weights.rate for weights in part]
        assert rates[0] == pytest.approx(peak / 10)
        assert max(rates) == pytest.approx(peak)
        assert rates[-1] == pytest.approx(peak / 50, rel=0.02)
        assert np.argmax(rates) in (9, 10)
    assert {weights.sharpen for weights in steps[:600]} == {0.0}
    assert steps[599].kl == recipe.kl
    assert (steps[-1].kl, steps[-1].sharpen) == (recipe.fine_kl, recipe.sharpen)


def test_prior_has_the_moments_of_the_encoded_faces(faces):
    torch.manual_seed(0)
    network = Network(SMALL.shape).eval()
    mean, factor = vae._fit_prior(network, faces)
    with torch.no_grad():
        values = network.encode(torch.from_numpy(vae.to_unit(faces))).double().numpy()
    assert mean.shape == (11,)
    np.testing.assert_allclose(mean, values.mean(0), atol=1e-5)
    np.testing.assert_allclose(factor @ factor.T, np.cov(values, rowvar=False), atol=1e-4)


def test_inner_face_is_fitted_as_scikit_learn_would(faces):
    torch.manual_seed(0)
    network = Network(SMALL.shape).eval()
    fit_inner(network, faces)
    inner, photos = network.inner, torch.from_numpy(vae.to_unit(faces))
    with torch.no_grad():
        mean, _ = network.encoder(photos)
        missed = inner.cut(photos - network.decoder(torch.cat([mean, torch.zeros(16, 3)], 1)))
        own = network.encode(photos)[:, 8:]
    want = PCA(3, svd_solver="full").fit(missed.numpy()).components_
    np.testing.assert_allclose(np.abs((inner.components.numpy() * want).sum(1)), 1, atol=1e-3)
    coefficients = inner.read(photos).numpy()
    ridge = Ridge(1.0).fit(mean.numpy(), coefficients)
    np.testing.assert_allclose(inner.expect(mean), ridge.predict(mean), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(own.std(0), 1, rtol=1e-4)


def test_log_has_every_term(tmp_path, faces):
    fit(np.concatenate([faces] * 3), tmp_path)
    line = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[0])
    assert set(line) == {"step", "loss", "pixel", "feature", "kl"}
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert set(last) == {*line, "critic"}

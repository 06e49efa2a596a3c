"""The VAE's network and its model folder."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mien.checkpoint import save_model
from mien.errors import BadModel
from mien.generators import open_space
from mien.generators.vae import Architecture, Network
from mien.train.vae import Recipe, _card, _tensors

SMALL = Architecture(size=64, latent=8, inner=3, widths=(8, 8, 16, 128, 16))
WIDTH = 11  # D


@pytest.fixture
def network():
    torch.manual_seed(0)
    made = Network(SMALL).eval()
    made.inner.components.copy_(torch.linalg.qr(torch.randn(768, 3))[0].t())
    for values in (made.inner.slope, made.inner.offset, made.inner.scale):
        values.copy_(torch.rand(values.shape) + 0.5)
    return made


def saved(network, folder):
    prior = (np.arange(WIDTH, dtype=np.float32), 0.5 * np.eye(WIDTH, dtype=np.float32))
    save_model(folder, _tensors(network, prior), _card("small", Recipe(shape=SMALL)))
    return folder


def test_full_size_is_the_half_size_face_plus_detail(network):
    latent = torch.randn(2, WIDTH)
    with torch.no_grad():
        half, full = network.decoder(latent, full=False), network.decoder(latent)
        network.decoder.detail[1].weight.zero_()
        network.decoder.detail[1].bias.zero_()
        plain = network.decoder(latent)
    assert half.shape == (2, 3, 32, 32)
    assert full.shape == (2, 3, 64, 64)
    torch.testing.assert_close(plain, F.interpolate(half, scale_factor=2, mode="bilinear"))
    assert not torch.allclose(full, plain)


def test_a_saved_model_opens_to_the_same_function(network, tmp_path):
    space = open_space(saved(network, tmp_path / "small"))
    faces = np.random.default_rng(0).uniform(-1, 1, (3, 3, 64, 64)).astype(np.float32)
    with torch.no_grad():
        want = network.encode(torch.from_numpy(faces))
        face = network.decode(want).clamp(-1, 1)
    got = space.encode(faces)
    np.testing.assert_allclose(got.values, want, atol=5e-3)  # stored in float16
    np.testing.assert_allclose(space.decode(got), face, atol=2e-2)


def test_a_decoded_face_has_the_coefficients_its_latents_say(network):
    faces = torch.rand(2, 3, 64, 64) * 2 - 1
    inner = network.inner
    with torch.no_grad():
        latent = network.encode(faces)
        told = inner.expect(latent[:, :8]) + latent[:, 8:] * inner.scale
        torch.testing.assert_close(told, inner.read(faces), rtol=1e-4, atol=1e-4)
        plain = network.decoder(latent)
        placed = network.decode(latent)
        change = inner.cut(placed - plain)
    assert (placed - plain)[:, :, :20].abs().max() == 0  # above the brows nothing changes
    assert change.norm() > 0
    # nothing but the components changes, up to their fading and resampling
    along = change @ inner.components.t() @ inner.components
    assert (change - along).norm() < 0.75 * change.norm()


def test_unfitted_components_change_nothing():
    torch.manual_seed(0)
    network = Network(SMALL).eval()
    with torch.no_grad():
        latent = network.encode(torch.rand(2, 3, 64, 64) * 2 - 1)
        assert torch.equal(network.decode(latent), network.decoder(latent).float())


def test_samples_have_the_priors_moments(network, tmp_path):
    values = open_space(saved(network, tmp_path / "small")).sample(20_000, seed=1).values
    np.testing.assert_allclose(values.mean(0), np.arange(WIDTH), atol=0.02)
    np.testing.assert_allclose(np.cov(values, rowvar=False), 0.25 * np.eye(WIDTH), atol=0.01)


def test_a_damaged_file_is_named(network, tmp_path):
    folder = saved(network, tmp_path / "small")
    blob = bytearray((folder / "model.safetensors").read_bytes())
    blob[-1] ^= 1
    (folder / "model.safetensors").write_bytes(blob)
    with pytest.raises(BadModel, match=r"model\.safetensors is not the file its card describes"):
        open_space(folder)


def test_a_card_of_another_network_is_refused(network, tmp_path):
    folder = saved(network, tmp_path / "small")
    card = json.loads((folder / "card.json").read_text())
    card["options"]["latent"] = 9
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(BadModel, match="does not hold the network"):
        open_space(folder)

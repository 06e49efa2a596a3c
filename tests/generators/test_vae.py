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

SMALL = Architecture(size=64, latent=8, widths=(8, 8, 16, 128, 16))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Network(SMALL).eval()


def saved(network, folder):
    prior = (np.arange(8, dtype=np.float32), 0.5 * np.eye(8, dtype=np.float32))
    save_model(folder, _tensors(network, prior), _card("small", Recipe(shape=SMALL)))
    return folder


def test_full_size_is_the_half_size_face_plus_detail(network):
    latent = torch.randn(2, 8)
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
        mean = network.encoder(torch.from_numpy(faces))[0].numpy()
    np.testing.assert_allclose(space.encode(faces).values, mean, atol=5e-3)  # stored in float16


def test_samples_have_the_priors_moments(network, tmp_path):
    values = open_space(saved(network, tmp_path / "small")).sample(20_000, seed=1).values
    np.testing.assert_allclose(values.mean(0), np.arange(8), atol=0.02)
    np.testing.assert_allclose(np.cov(values, rowvar=False), 0.25 * np.eye(8), atol=0.01)


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

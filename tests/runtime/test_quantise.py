"""Convolutions in 8 bits: rounding as defined, and whole numbers where the engine computes."""

import numpy as np
import torch
from torch import nn

from mien.generators import open_translator
from mien.generators._examples import example_faces
from mien.runtime import engine as engines
from mien.runtime.engine import engine
from mien.runtime.precision import precision
from mien.runtime.quantise import quantised


def layers() -> nn.Sequential:
    torch.manual_seed(0)
    narrow, wide = nn.Conv2d(3, 16, 3, 1, 1), nn.Conv2d(16, 8, 3, 2, 1)
    return nn.Sequential(narrow, nn.ReLU(), wide).requires_grad_(False)


def test_rounding_is_that_of_its_definition():
    network, x = layers(), torch.randn(4, 3, 12, 12)
    found = quantised(network, lambda each: each(x), 0.8)(x)

    read = torch.relu(network[0](x)).numpy().astype(np.float64)
    step = 0.8 * read.max() / 255  # and what lies beyond is clipped
    read = np.clip(np.round(read / step), 0, 255) * step
    weight = network[2].weight.numpy().astype(np.float64)
    unit = np.abs(weight).max((1, 2, 3), keepdims=True) / 127
    weight = np.round(weight / unit) * unit
    padded = np.pad(read, ((0, 0), (0, 0), (1, 1), (1, 1)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::2, ::2]
    wanted = np.einsum("nchwij,ocij->nohw", seen, weight) + network[2].bias.numpy()[:, None, None]
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-5)
    assert not torch.equal(found, network(x))


def test_the_network_itself_stays_as_it_was():
    network, x = layers(), torch.randn(1, 3, 12, 12)
    before = network(x)
    copied = quantised(network, lambda each: each(x))
    assert torch.equal(network(x), before)
    assert isinstance(copied[0], nn.Conv2d)  # narrow layers are left in floating point
    assert not isinstance(copied[2], nn.Conv2d)


def test_values_beyond_the_examples_are_clipped_not_wrapped():
    network, x = layers(), torch.randn(1, 3, 12, 12)
    copied = quantised(network, lambda each: each(x))
    far, farther = copied(1e3 * x), copied(1e4 * x)
    torch.testing.assert_close(far, farther, rtol=0.2, atol=0.2)


def test_the_engine_computes_in_whole_numbers():
    x = torch.randn(1, 3, 12, 12)
    with torch.no_grad():
        read = engines._read(quantised(layers(), lambda each: each(x)), x)
    compiled = engines.openvino().Core().compile_model(read, "CPU")
    infos = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    kinds = {
        info["runtimePrecision"].astype(str)
        for info in infos
        if "layerType" in info and info["layerType"].astype(str) == "Convolution"
    }
    assert any("8" in kind for kind in kinds), kinds  # i8 or u8; the first layer stays as it is


def test_translations_stay_near():
    """40 dB is what a large one has; the embedded one had 54 and more on photos."""
    model = open_translator("stargan-128")
    faces = example_faces(model.size).numpy()[::-1].copy()
    labels = np.tile(np.float32([0, 1, 0, 1, 0]), (len(faces), 1))
    wanted = model.translate(faces, labels)
    with engine("openvino"), precision("int8"):
        found = model.translate(faces, labels)
    with engine("openvino"), precision("bf16"):
        near = model.translate(faces, labels)
    assert 10 * np.log10(4 / np.square(found - wanted).mean()) > 50
    assert not np.array_equal(found, near)

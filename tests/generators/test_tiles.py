"""Convolution by tiles against direct sums in double precision."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mien.generators.layers import tiles
from mien.generators.layers.finish import Bias, Finish
from mien.generators.layers.resized import Conv, Doubling, Halving
from tests.generators.test_pggan import draw


@pytest.mark.parametrize("tiling", [tiles.SAME, tiles.DOUBLING])
def test_matrices_correlate_exactly(tiling):
    gather, spread, interpolate = tiles.matrices(tiling)
    random = np.random.default_rng(0)
    taps, data = random.normal(size=tiling.taps), random.normal(size=tiling.side)
    got = gather @ ((spread @ taps) * (interpolate @ data))
    np.testing.assert_allclose(got, np.correlate(data, taps), atol=1e-13)


@pytest.mark.parametrize("band", [1, 300_000, 2**24])
@pytest.mark.parametrize("size", [(8, 12), (7, 5)])
@pytest.mark.parametrize("biased", [False, True])
def test_same_size(size, biased, band, monkeypatch):
    monkeypatch.setattr(tiles, "BAND", band)  # one row of tiles, a few, all
    x, weight = draw(2, 9, *size), draw(6, 9, 3, 3, seed=2)
    bias = draw(6, seed=3) if biased else None
    want = F.conv2d(x.double(), weight.double(), None if bias is None else bias.double(), padding=1)
    got = tiles.convolve(x, tiles.transform(weight, tiles.SAME), tiles.SAME, Bias(bias))
    assert got.shape == want.shape
    torch.testing.assert_close(got.double(), want, rtol=1e-5, atol=1e-4)


def test_scaled_before_and_finished_behind():
    x, weight, styles = draw(2, 128, 32, 32), draw(128, 128, 3, 3, seed=2), draw(2, 128, seed=3)
    scale, bias, noise = draw(2, 128, seed=4), draw(128, seed=5), draw(2, 32, 32, seed=6)
    kernel, finish = tiles.transform(weight, tiles.SAME), Finish(scale, bias, noise, 50.0)
    got = tiles.convolve(x, kernel, tiles.SAME, finish, styles)
    scaled = x.double() * styles[:, :, None, None]
    want = F.conv2d(scaled, weight.double(), padding=1) * scale[:, :, None, None]
    want = F.leaky_relu(want + bias[:, None, None] + noise[:, None], 0.2).clamp(-50, 50)
    assert (got - want).norm() / want.norm() < 5e-6


def repeated(x, weight, bias):
    """Each pixel repeated 2x2, then convolved, in double precision."""
    doubled = x.double().repeat_interleave(2, 2).repeat_interleave(2, 3)
    return F.conv2d(doubled, weight.double(), bias.double(), padding=1)


@pytest.mark.parametrize("size", [(8, 11), (32, 32), (33, 34)])
def test_doubling(size):
    conv = Doubling(64, 32)
    torch.nn.init.normal_(conv.bias)
    x = draw(2, 64, *size)
    want = repeated(x, conv.weight * conv.scale, conv.bias)
    for grad in (False, True):  # by tiles where large, and directly
        with torch.set_grad_enabled(grad):
            got = conv(x)
        torch.testing.assert_close(got.double(), want, rtol=1e-5, atol=1e-4)


def test_large_convolutions_work_by_tiles(monkeypatch):
    used = []
    convolve = tiles.convolve
    monkeypatch.setattr(tiles, "convolve", lambda *args: used.append(args[2]) or convolve(*args))
    conv, doubling = Conv(128, 128), Doubling(64, 32)
    with torch.no_grad():
        got = conv(draw(1, 128, 32, 32))
        doubling(draw(1, 64, 32, 32))
        assert used == [tiles.SAME, tiles.DOUBLING]
        want = F.conv2d(draw(1, 128, 32, 32), conv.weight * conv.scale, padding=1)
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)
        conv(draw(1, 128, 16, 16))
        conv(draw(1, 128, 34, 34))
        with torch.autocast("cpu", torch.bfloat16):
            assert conv(draw(1, 128, 32, 32)).dtype == torch.bfloat16
        conv.double()(draw(1, 128, 32, 32).double())
    Conv(128, 128)(draw(1, 128, 32, 32)).sum().backward()
    assert used == [tiles.SAME, tiles.DOUBLING]


def test_halving_is_the_mean_of_a_convolution():
    conv = Halving(5, 7)
    torch.nn.init.normal_(conv.bias)
    x = draw(2, 5, 8, 6)
    want = F.avg_pool2d(F.conv2d(x, conv.weight * conv.scale, conv.bias, padding=1), 2)
    torch.testing.assert_close(conv(x), want, rtol=1e-4, atol=1e-5)

"""Shared layers against definitions written out, and their fast forms against their plain ones."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import convolve1d

from mien.errors import BadInput
from mien.generators.layers import noise
from mien.generators.layers.equalised import Conv, Linear, normalise
from mien.generators.layers.finish import Finish
from mien.generators.layers.mapping import truncate
from mien.generators.layers.modulated import Modulated
from mien.generators.layers.resample import Filter
from mien.generators.layers.statistics import append_deviation

TAPS = [(1.0, 3.0, 3.0, 1.0), (1.0, 2.0, 1.0), (1.0, 1.0), (1.0, 2.0, 4.0, 1.0, 5.0)]


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_equalised_layers_scale_by_the_fan_in():
    linear, conv = Linear(8, 3, rate=0.1, bias=2.0), Conv(5, 4, 3)
    x, image = random(2, 8), random(2, 5, 6, 6)
    want = x.numpy() @ linear.weight.numpy().T * 0.1 / np.sqrt(8) + 2
    np.testing.assert_allclose(linear(x).numpy(), want, atol=1e-5)
    torch.testing.assert_close(conv(image), F.conv2d(image, conv.weight, padding=1) / 45**0.5)
    torch.testing.assert_close(normalise(x).square().mean(1), torch.ones(2))


def full(plane, taps):
    """Each row and column convolved with `taps`, both tails kept, in NumPy."""
    rows = np.apply_along_axis(np.convolve, 1, plane, taps)
    return np.apply_along_axis(np.convolve, 0, rows, taps)


@pytest.mark.parametrize("taps", TAPS)
@pytest.mark.parametrize("channels", [2, 6])
def test_doubling_is_zero_insertion_and_a_filter(taps, channels):
    x = random(1, channels, 5, 5)
    line = 2 * np.array(taps) / sum(taps)
    spread = np.zeros((10, 10))
    spread[::2, ::2] = x[0, 1].numpy()
    before = len(taps) // 2 - 1
    want = full(spread, line)[before : before + 10, before : before + 10]
    np.testing.assert_allclose(Filter(taps).doubled(x)[0, 1].numpy(), want, atol=1e-5)


@pytest.mark.parametrize("taps", TAPS[:3])
def test_halving_is_a_filter_and_every_second_pixel(taps):
    x = random(1, 2, 8, 8)
    line = np.array(taps) / sum(taps)
    want = full(x[0, 1].numpy(), line)[len(taps) // 2 :: 2, len(taps) // 2 :: 2]
    np.testing.assert_allclose(Filter(taps).halved(x)[0, 1].numpy(), want[:4, :4], atol=1e-5)


def test_smoothing_keeps_a_constant_inside():
    flat = torch.full((1, 1, 9, 9), 3.0)
    inside = Filter().before_strided(flat)[:, :, 3:-3, 3:-3]
    want = convolve1d(np.full(9, 3.0), np.array([1, 3, 3, 1]) / 8)[0]
    torch.testing.assert_close(inside, torch.full_like(inside, float(want)))


def test_deviation_is_that_of_the_interleaved_groups():
    x = random(8, 4, 3, 3)
    got = append_deviation(x, group=4, maps=2)
    assert got.shape == (8, 6, 3, 3)
    torch.testing.assert_close(got[:, :4], x)
    for face in range(8):
        group = x[face % 2 :: 2].double().numpy()
        want = np.sqrt(group.var(0) + 1e-8).reshape(2, -1).mean(1)
        np.testing.assert_allclose(got[face, 4:, 1, 2].numpy(), want, atol=1e-5)


def modulated(side=3, up=None, inputs=6, outputs=5):
    torch.manual_seed(1)
    return Modulated(inputs, outputs, side, 7, up)


def by_definition(layer, x, w):
    """Equations 1 and 3, a face at a time, on weights; doubling by inserting zeros."""
    faces = []
    for face, styles in zip(x.double(), layer.style(w).double(), strict=True):
        weight = layer.weight.double() * layer.scale * styles[:, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if layer.up is None:
            faces.append(F.conv2d(face[None], weight, padding=1))
            continue
        channels, height, width = face.shape
        spread = face.new_zeros(channels, 2 * height - 1, 2 * width - 1)
        spread[:, ::2, ::2] = face
        rough = F.conv2d(spread[None], weight.flip(2, 3), padding=2)
        kernel = layer.up.kernel.double().expand(len(weight), 1, -1, -1) * 4
        faces.append(F.conv2d(rough, kernel, padding=1, groups=len(weight)))
    return torch.cat(faces).float()


@torch.no_grad()
@pytest.mark.parametrize("up", [None, Filter()], ids=["same", "up"])
@pytest.mark.parametrize("count", [1, 3])
def test_modulated_convolution_is_the_papers(up, count):
    layer = modulated(up=up)
    x, w = random(count, 6, 8, 8), random(count, 7, seed=2)
    want = by_definition(layer, x, w)
    torch.testing.assert_close(layer(x, w), want, rtol=1e-4, atol=1e-5)


def finished(want, finish):
    """The same in float64, written out."""
    want = want.double() + finish.bias[:, None, None]
    want = F.leaky_relu(want + finish.noise[:, None], 0.2)
    return want.clamp(-finish.limit, finish.limit).float()


def finish_for(layer, styles, count, level):
    scale = torch.rsqrt(styles.square() @ layer.power().t() + 1e-8)
    return Finish(scale, random(len(layer.weight), seed=3), random(count, level, level), 2.5)


@torch.no_grad()
@pytest.mark.parametrize(
    ("inputs", "level", "up", "count"),
    [
        (6, 8, None, 3),  # activations scaled
        (6, 32, None, 1),  # weights scaled, as there are fewer
        (6, 8, Filter(), 1),
        (6, 8, Filter(), 2),
        (128, 32, None, 2),  # tiles
        (128, 36, None, 1),  # tiles in a last band that is not full
    ],
)
def test_inference_gives_the_same_numbers(inputs, level, up, count):
    layer = modulated(up=up, inputs=inputs, outputs=128 if inputs == 128 else 5)
    x, w = random(count, inputs, level, level), random(count, 7, seed=2)
    x = x.contiguous(memory_format=torch.channels_last)
    styles = layer.style(w)
    finish = finish_for(layer, styles, count, level * (2 if up else 1))
    want = finished(by_definition(layer, x, w), finish)
    kept = x.clone()
    torch.testing.assert_close(layer.infer(x, styles, finish), want, rtol=1e-4, atol=2e-5)
    assert torch.equal(x, kept)
    assert ("tiles" in layer._kept) == (inputs == 128)


@torch.no_grad()
def test_prepared_weights_follow_their_changes():
    layer = modulated()
    x, styles = random(2, 6, 8, 8), random(2, 6, seed=2)
    finish = Finish(torch.ones(2, 5), torch.zeros(5), None, None)
    before = layer.infer(x, styles, finish)
    layer.weight.mul_(2)
    torch.testing.assert_close(layer.infer(x, styles, finish), 2 * before)
    layer.load_state_dict({**layer.state_dict(), "weight": layer.weight / 4})
    torch.testing.assert_close(layer.infer(x, styles, finish), before / 2)
    layer.weight.data.mul_(6)  # unseen by autograd
    layer.eval()
    torch.testing.assert_close(layer.infer(x, styles, finish), 3 * before)


def test_prepared_weights_follow_those_that_count_no_versions():
    with torch.inference_mode():
        layer = modulated()
        x, styles = random(2, 6, 8, 8), random(2, 6, seed=2)
        finish = Finish(torch.ones(2, 5), torch.zeros(5), None, None)
        before = layer.infer(x, styles, finish)
        layer.load_state_dict({**layer.state_dict(), "weight": layer.weight / 4})
        torch.testing.assert_close(layer.infer(x, styles, finish), before / 4)


def test_each_kind_of_noise():
    stored = random(4, 4)
    torch.testing.assert_close(noise.drawn("stored", stored, 3), stored[None, None])
    assert noise.drawn("none", stored, 3) is None
    assert noise.drawn(stored, random(4, 4, seed=1), 3) is stored
    with torch.random.fork_rng():
        torch.manual_seed(0)
        got = noise.drawn("random", stored, 3)
    assert got.shape == (3, 1, 4, 4)
    assert not torch.allclose(got[0], got[1])
    assert noise.a_layer("none", 2) == ["none", "none"]
    with pytest.raises(BadInput, match="got 1 noise maps, this model has 2"):
        noise.a_layer([stored], 2)
    with pytest.raises(BadInput, match="noise is 'loud'"):
        noise.a_layer("loud", 2)


def test_truncation_of_one_number_or_a_row_each():
    styles, average = random(2, 4, 3), random(3, seed=1)
    assert truncate(styles, average, 0.2, layers=0) is styles
    near = truncate(styles, average, 0.2, layers=3)
    torch.testing.assert_close(near[:, :3], average + 0.2 * (styles - average)[:, :3])
    torch.testing.assert_close(near[:, 3:], styles[:, 3:])
    rows = truncate(styles.double(), average.double(), [0.1, 0.5, 1.0, 2.0])
    factors = torch.tensor([0.1, 0.5, 1.0, 2.0], dtype=torch.float64)[:, None]
    torch.testing.assert_close(rows, average + factors * (styles - average), rtol=1e-7, atol=1e-6)

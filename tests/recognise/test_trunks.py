"""The trunks against published sizes, TensorFlow's padding rule and plain convolution."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mien.recognise import efficientnet_lite0, mobilenet_v2
from mien.recognise.efficientnet_lite0 import SameConv2d
from mien.recognise.imagenet import MEAN, STD, load_trunk, normalise
from mien.recognise.mobilenet_v2 import Conv2d


@pytest.mark.parametrize(
    ("architecture", "parameters"),
    [(mobilenet_v2, 3_504_872), (efficientnet_lite0, 4_652_008)],
)
def test_trunk_has_the_published_number_of_parameters(architecture, parameters):
    classifier = 1280 * 1000 + 1000
    count = sum(value.numel() for value in architecture.Trunk().parameters())
    assert count + classifier == parameters


@pytest.mark.parametrize("architecture", [mobilenet_v2, efficientnet_lite0])
def test_imagenet_weights_fill_every_tensor(architecture):
    torch.manual_seed(0)
    random, filled = architecture.Trunk(), load_trunk(architecture)
    same = [
        key
        for key, value in filled.state_dict().items()
        if value.dtype.is_floating_point and torch.equal(value, random.state_dict()[key])
    ]
    assert same == []


@pytest.mark.parametrize("size", [7, 8, 33, 64])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_same_padding_follows_tensorflow(size, kernel, stride):
    torch.manual_seed(0)
    layer = SameConv2d(2, 2, kernel, stride, groups=2, bias=False)
    x = torch.randn(1, 2, size, size)
    out = -(-size // stride)
    total = max((out - 1) * stride + kernel - size, 0)
    padded = F.pad(x, (total // 2, total - total // 2) * 2)
    torch.testing.assert_close(layer(x), F.conv2d(padded, layer.weight, None, stride, groups=2))
    assert layer(x).shape[2:] == (out, out)


def test_depthwise_training_in_fp32_keeps_values_and_gradients():
    torch.manual_seed(0)
    layer = Conv2d(4, 4, 3, 2, 1, groups=4, bias=False)
    x = torch.randn(2, 4, 16, 16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(x)
    want = F.conv2d(x, layer.weight, None, 2, 1, 1, 4)
    torch.testing.assert_close(out, want)
    (got,) = torch.autograd.grad(out.sum(), x)
    (wanted,) = torch.autograd.grad(want.sum(), x)
    torch.testing.assert_close(got, wanted)


def test_normalise_is_imagenets():
    faces = torch.linspace(-1, 1, 12).reshape(1, 3, 2, 2)
    unit = (faces.numpy() + 1) / 2
    want = (unit - np.reshape(MEAN, (1, 3, 1, 1))) / np.reshape(STD, (1, 3, 1, 1))
    np.testing.assert_allclose(normalise(faces).numpy(), want, rtol=1e-5, atol=1e-6)

"""An encoder at work: folded, in bf16, on faces of other sizes."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mien.encoders import e4e, psp
from mien.encoders._inverter import Inverter
from mien.recognise.ir_se import TrunkShape

SHAPE = psp.Architecture(64, 10, 24, TrunkShape((16, 16, 24, 32, 48), (2, 2, 2, 2)))
CARD = {"options": {"size": 64, "styles": 10}, "centred": True}
AVERAGE = torch.linspace(-1, 1, 24)


@pytest.fixture(params=[psp.Encoder, e4e.Encoder, psp.IntoW, psp.IntoRows])
def network(request):
    """Random, its normalisation as after a training."""
    torch.manual_seed(0)
    made = request.param(SHAPE).train()
    with torch.no_grad():
        made(torch.randn(8, 3, 64, 64))
    return made.eval()


@pytest.fixture
def faces():
    return torch.rand(11, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


@torch.no_grad()
def rows(network, faces):
    codes = network(faces)
    return (codes[:, None].expand(-1, 10, -1) if codes.ndim == 2 else codes).numpy()


@pytest.mark.parametrize("centred", [True, False])
def test_codes_are_the_networks_and_the_average(network, faces, centred):
    wanted = rows(network, faces) + (AVERAGE.numpy() if centred else 0)
    found = Inverter(copy.deepcopy(network), CARD | {"centred": centred}, AVERAGE)
    np.testing.assert_allclose(found.codes(faces.numpy()), wanted, atol=1e-4)


def test_bf16_is_within_a_hundredth(network, faces):
    wanted = rows(network, faces) + AVERAGE.numpy()
    with torch.autocast("cpu", torch.bfloat16):
        found = Inverter(copy.deepcopy(network), CARD, AVERAGE).codes(faces.numpy())
    assert found.dtype == np.float32
    assert 0 < np.linalg.norm(found - wanted) < 0.01 * np.linalg.norm(wanted)


def test_large_faces_are_averaged_down(network, faces):
    inverter = Inverter(network, CARD, AVERAGE)
    large = F.interpolate(faces[:2], scale_factor=4)
    codes = inverter.codes(large.numpy())
    np.testing.assert_allclose(codes, inverter.codes(faces[:2].numpy()), atol=1e-4)


def test_no_faces_no_codes(network):
    assert Inverter(network, CARD, AVERAGE).codes(np.zeros((0, 3, 64, 64), np.float32)).shape == (
        0, 10, 24,
    )  # fmt: skip

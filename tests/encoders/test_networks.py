"""pSp's and e4e's networks against numbers recorded from the originals."""

import numpy as np
import pytest
import torch

from mien.encoders import e4e, psp
from tests.parity import fill


def recorded(name, module, network):
    """The fixture, the encoder with its weights in eval mode, and the photos [N, 3, 256, 256]."""
    data = fill.load(f"tests/parity/{name}")
    state = {
        key.removeprefix("encoder."): torch.from_numpy(np.asarray(value))
        for key, value in data.state(module).items()
        if key.startswith("encoder.")
    }
    network.load_state_dict(state)
    return data, network.eval(), torch.from_numpy(data.input("x"))


def check(data, outputs):
    for name, values in outputs.items():
        worst, passes = data.check(name, values.numpy())
        assert passes, f"{name}: {worst}"


@torch.no_grad()
def test_gradual_styles_and_their_maps():
    shape = psp.Architecture(styles=10)
    data, network, faces = recorded("psp_gradual_encoder", "P", psp.Encoder(shape))
    codes = network(faces)
    average = torch.from_numpy(data.input("latent_avg"))
    maps = dict(zip(("c1", "c2", "c3"), network.features(faces), strict=True))
    check(data, {"codes_raw": codes, "codes": codes + average, **maps})


@torch.no_grad()
@pytest.mark.parametrize(("module", "kind"), [("PW", psp.IntoW), ("PWP", psp.IntoRows)])
def test_styles_of_the_last_map(module, kind):
    network = kind(psp.Architecture(styles=8))
    data, network, faces = recorded("psp_backbone_w_encoder", module, network)
    check(data, {f"{module}.codes_raw": network(faces)})


@torch.no_grad()
def test_every_stage_of_e4e():
    data, network, faces = recorded("e4e_encoder", "P", e4e.Encoder(e4e.Architecture(styles=10)))
    check(data, {"codes_stage18": network(faces)})  # finished
    for stage in data.manifest["config"]["stages"]:
        network.stage = stage
        check(data, {f"codes_stage{stage}": network(faces)})


@torch.no_grad()
def test_a_compact_encoder_reads_its_own_size():
    trunk = psp.Architecture().trunk
    trunk = type(trunk)(widths=(8, 8, 12, 16, 24), units=(1, 1, 2, 1))
    shape = e4e.Architecture(size=64, styles=10, latent=20, trunk=trunk)
    network = e4e.Encoder(shape).eval()
    faces = torch.randn(3, 3, 64, 64)
    assert [tuple(x.shape[1:]) for x in network.maps(faces)] == [
        (24, 4, 4), (24, 8, 8), (24, 16, 16),
    ]  # fmt: skip
    network.stage = 2
    codes = network(faces)
    assert codes.shape == (3, 10, 20)
    changed = (codes != codes[:, :1]).any(2).any(0)
    assert changed.tolist() == [False, True, True] + 7 * [False]

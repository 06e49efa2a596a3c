"""OpenVINO gives what PyTorch gives."""

import subprocess
import sys
from concurrent.futures import Future

import numpy as np
import pytest
import torch

from mien.encoders import e4e, psp
from mien.encoders._inverter import Inverter
from mien.errors import MissingExtra, UnknownName
from mien.generators import open_space, pggan, stylegan, stylegan2
from mien.generators._threads import thread_a_core
from mien.recognise.ir_se import TrunkShape
from mien.recognise.recogniser import open_recogniser
from mien.runtime import engine as engines
from mien.runtime.engine import Runner, engine
from mien.runtime.precision import has_bf16, precision

SMALL = {"size": 32, "base": 512, "most": 32, "latent": 16}


def psnr(found: torch.Tensor, wanted: torch.Tensor) -> float:
    error = (found - wanted).square().mean()
    return float(20 * torch.log10(wanted.max() - wanted.min()) - 10 * torch.log10(error))


def lively(network: torch.nn.Module) -> torch.nn.Module:
    for key, value in network.named_parameters():
        if key.endswith(("bias", "strength")):
            torch.nn.init.normal_(value, std=0.3)
    return network.eval().requires_grad_(False)


@pytest.fixture(params=["pggan", "stylegan", "stylegan2", "stylegan2 resnet"])
def case(request: pytest.FixtureRequest) -> tuple[torch.nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    if request.param == "pggan":
        return lively(pggan.Generator(pggan.Architecture(**SMALL))), torch.randn(3, 16)
    if request.param == "stylegan":
        styled = stylegan.Architecture(**SMALL)
        return lively(stylegan.Synthesis(styled)), torch.randn(3, styled.styles, 16)
    form = "resnet" if "resnet" in request.param else "skip"
    shape = stylegan2.Architecture(**SMALL, form=form)
    return lively(stylegan2.Synthesis(shape)), torch.randn(3, shape.styles, 16)


@torch.inference_mode()
def test_generators_by_openvino_give_the_same_faces(case):
    network, latents = case
    run = Runner(network)
    wanted = run(latents)
    with engine("openvino"):
        same = run(latents)
        with precision("bf16"):
            near = run(latents)
    assert torch.equal(run(latents), wanted)  # outside the block nothing changed
    assert same.dtype == near.dtype == torch.float32
    assert psnr(same, wanted) > 80
    assert psnr(near, wanted) > 40
    assert torch.equal(same, near) != has_bf16()


@torch.inference_mode()
def test_bf16_is_fp32_where_it_would_be_emulated(monkeypatch):
    monkeypatch.setattr(engines.precision, "has_bf16", lambda: False)
    torch.manual_seed(0)
    run, faces = (
        Runner(torch.nn.Conv2d(3, 8, 3).eval().requires_grad_(False)),
        torch.randn(2, 3, 9, 9),
    )
    with engine("openvino"):
        exact = run(faces)
        with precision("bf16"):
            assert torch.equal(run(faces), exact)


def test_rows_do_not_depend_on_the_batch():
    space = open_space("stylegan2-64")
    latent = space.sample(5, seed=2)
    with engine("openvino"):
        whole = space.decode(latent)
        parts = [space.decode(latent[slice(n, n + 1)]) for n in range(5)]
    np.testing.assert_allclose(whole, np.concatenate(parts), atol=2e-4)


def test_embedded_networks_by_openvino():
    space, recogniser = open_space(), open_recogniser()
    latent = space.sample(3, seed=3)
    faces = space.decode(latent)
    codes, seen = space.encode(faces).values, recogniser.probabilities(faces)
    with engine("openvino"):
        np.testing.assert_allclose(space.decode(latent), faces, atol=1e-3)
        np.testing.assert_allclose(space.encode(faces).values, codes, atol=1e-3)
        np.testing.assert_allclose(recogniser.probabilities(faces), seen, atol=1e-3)


@pytest.mark.parametrize("part", [psp, e4e])
def test_encoders_by_openvino_find_the_same_codes(part):
    torch.manual_seed(0)
    trunk = TrunkShape((8, 8, 16, 16, 32), (2, 2, 2, 2))
    network = part.Encoder(psp.Architecture(64, 8, 16, trunk))
    for _ in range(3):
        network.train()(torch.randn(4, 3, 64, 64))  # statistics of normalisation
    card = {"options": {"size": 64, "styles": 8}, "centred": True}
    inverter = Inverter(network, card, torch.zeros(16))
    faces = np.random.default_rng(0).uniform(-1, 1, (3, 3, 64, 64)).astype(np.float32)
    wanted = inverter.codes(faces)
    with engine("openvino"):
        np.testing.assert_allclose(inverter.codes(faces), wanted, atol=1e-4)
        with precision("bf16"):
            near = inverter.codes(faces)
        with precision("int8"):
            rounded = inverter.codes(faces)
    assert np.linalg.norm(near - wanted) < 0.01 * np.linalg.norm(wanted)
    assert 0 < np.linalg.norm(rounded - near) < 0.01 * np.linalg.norm(wanted)


def test_nothing_is_reported_to_anybody():
    """OpenVINO's own report of every network it reads, which a process of its own sends."""
    seen = """
import multiprocessing.process, sys
import torch
from mien.runtime.engine import Runner, engine
started = []
multiprocessing.process.BaseProcess.start = lambda process: started.append(process)
with torch.inference_mode(), engine("openvino"):
    Runner(torch.nn.Linear(3, 2))(torch.zeros(1, 3))
import openvino.tools.ovc.telemetry_utils as reports
print(started, reports.tm.__name__)
"""
    told = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["[]", "openvino.tools.ovc.telemetry_stub"]


def test_gradients_pass_inside_the_block():
    space = open_space("stylegan2-64")
    values = torch.from_numpy(space.sample(1, seed=0).values).requires_grad_()
    with engine("openvino"):
        space.render(values).sum().backward()
    assert values.grad is not None
    assert values.grad.abs().sum() > 0


def test_threads_run_what_the_caller_chose():
    with engine("openvino"), thread_a_core(2) as pool:
        found: Future[str] = pool.submit(engines.current)
        assert found.result() == "openvino"
    assert engines.current() == "torch"


def test_other_engines_are_refused():
    with pytest.raises(UnknownName, match="openvino"), engine("openvine"):
        pass


def test_a_missing_openvino_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(MissingExtra, match=r'pip install "mien\[fast\]"'), engine("openvino"):
        pass

"""One training in several real processes: the same weights and log as in one."""

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mien.generators._labels import Vocabulary
from mien.generators.stargan import open_translator
from mien.train import _stargan_state, stargan
from mien.train.devices import LAUNCHED, Devices
from tests import celeba as celeba_of
from tests.train import launched
from tests.train.launched import HALF, RECIPE
from tests.train.test_stargan import TOY, coloured

ROOT = Path(__file__).resolve().parents[2]


def launch(*command, processes=2):
    """Run a command in several processes by `accelerate launch`."""
    pytest.importorskip("accelerate")
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    launcher += ["--num_processes", str(processes), "--num_machines", "1"]
    launcher += ["--main_process_port", "0", "--mixed_precision", "no", "--dynamo_backend", "no"]
    return subprocess.run(
        [*launcher, *map(str, command)], cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def read(folder):
    """(checkpoint, lines of the log)."""
    log = (folder / "log.jsonl").read_text().splitlines()
    return torch.load(folder / "checkpoint.pt", weights_only=True), [json.loads(x) for x in log]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Trainings by one process and by two, by both in turn, and what two printed."""
    root = tmp_path_factory.mktemp("devices")
    celeba_of.noise(root / "celeba", ("Male", "Young"), train=9, test=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_CACHE", str(root / "cache"))
        patch.setattr(stargan, "equip", launched.equip)
        launched.fit(root / "one", RECIPE)
        launched.fit(root / "one-several", HALF)
        result = launch("-m", "tests.train.launched", root)
        assert result.returncode == 0, result.stderr
        (root / "printed.txt").write_text(result.stdout)
        launched.fit(root / "several-one", RECIPE)
    return root


def apart(trained, name):
    """How far weights are from those of one process, in what training changed, a network."""
    initial = _stargan_state.start(RECIPE, Vocabulary(tuple(s.part for s in launched.sources())))
    states = initial.parts(), read(trained / "one")[0], read(trained / name)[0]
    for network in ("generator", "averaged", "critic"):
        before, wanted, found = (
            torch.cat([v.flatten() for k, v in state[network].items() if k != "n_averaged"])
            for state in states
        )
        yield float((found - wanted).norm() / (wanted - before).norm())


@pytest.mark.parametrize("name", ["several", "one-several", "several-one"])
def test_several_processes_train_as_one_does(trained, name):
    assert max(apart(trained, name)) < 1e-3
    (wanted, log), (found, lines) = read(trained / "one"), read(trained / name)
    assert found["step"] == wanted["step"] == 6
    assert [line.keys() for line in lines] == [line.keys() for line in log]
    assert {"2/G/teacher", "2/G/guide", "2/D/gp"} <= log[3].keys()
    for line, other in zip(lines, log, strict=True):
        assert line == pytest.approx(other, abs=1e-5)


class Deaf(Devices):
    """One of two processes, which hears nothing of the other."""

    def __init__(self):
        super().__init__(SimpleNamespace(num_processes=2, process_index=0, device="cpu"))

    def told(self, value):
        return value

    def _mean(self, values):
        return values


def test_a_process_that_hears_nobody_trains_otherwise(trained, monkeypatch):
    """What the comparison above would say of processes that share a batch and nothing else."""
    monkeypatch.setattr(stargan, "equip", launched.equip)
    monkeypatch.setattr(stargan, "open_devices", Deaf)
    launched.fit(trained / "deaf", RECIPE)
    assert min(apart(trained, "deaf")) > 0.1


def test_a_batch_that_cannot_be_shared_is_refused_once(trained):
    assert (trained / "refusal-0.txt").read_text() == (
        "BadInput: a batch of 9 faces cannot be shared equally among 2 processes; "
        "make it a multiple of 2"
    )
    assert (trained / "refusal-1.txt").read_text() == "SystemExit: 2"
    assert not (trained / "refused" / "log.jsonl").exists()


def test_the_command_writes_and_prints_once(trained):
    run = trained / "command"
    assert (trained / "printed.txt").read_text() == f"{run / 'stargan'}\n"
    assert open_translator(run / "stargan").card["steps"] == 2
    assert len(list((run / "tensorboard").iterdir())) == 1
    assert len((run / "log.jsonl").read_text().splitlines()) == 1


def test_the_command_refuses_once(trained):
    script = Path(sys.executable).with_name("mien")
    refused = launch(script, *launched.words(trained), "--recipe", "n_critics=2")
    assert refused.stderr.count("mien: ") == 1
    assert "did you mean n_critic" in refused.stderr
    assert "Root Cause" in refused.stderr
    cause = refused.stderr.split("Root Cause")[1]
    assert "exitcode  : 2" in cause
    assert refused.stdout == ""


def test_a_process_alone_needs_no_accelerate(monkeypatch):
    """Whoever starts mien himself gets this process and the CPU; the module is not even there."""
    alone = {key: value for key, value in os.environ.items() if key not in LAUNCHED}
    code = (
        "import sys; sys.modules['accelerate'] = None\n"
        "from mien.train.devices import open_devices\n"
        "devices = open_devices()\n"
        "assert (devices.processes, devices.main, devices.device) == (1, True, 'cpu')\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], env=alone, check=True)
    launched_one = {**alone, "LOCAL_RANK": "0"}
    code = (
        "import sys; sys.modules['accelerate'] = None\n"
        "from mien.errors import MissingExtra\n"
        "from mien.train.devices import open_devices\n"
        "try:\n    open_devices()\nexcept MissingExtra as error:\n    print(error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], env=launched_one, check=True, capture_output=True, text=True
    )
    assert "mien[devices]" in said.stdout


def test_a_step_takes_place_on_one_device(monkeypatch):
    """On torch's device without memory, which refuses tensors that were left on the CPU."""
    monkeypatch.setattr(torch, "autocast", lambda *a, **k: contextlib.nullcontext())
    recipe, source = replace(TOY, teacher=1.0, jitter=0.1), coloured(40, ["red"], 0)
    monkeypatch.setattr(_stargan_state, "open_teachers", lambda models, names: (teacher(),))
    state = _stargan_state.start(recipe, Vocabulary((source.part,) * 2), "meta")
    _stargan_state.equip(state, recipe)
    for optimiser in (state.optimiser, state.critic_optimiser):
        for group in optimiser.param_groups:
            group["fused"] = False  # whose kernels know real devices alone
    devices = Devices(SimpleNamespace(num_processes=1, process_index=0, device="meta"))
    batch = stargan.draw(source, 0, 2, 1, recipe).shared(devices)
    terms = stargan.update(state, batch, recipe, both=True)
    assert {"D/gp", "G/teacher"} <= terms.keys()
    assert {value.device.type for value in terms.values()} == {"meta"}


def teacher():
    """The embedded recogniser, one of its names taken for red."""
    from mien.recognise.recogniser import open_recogniser

    found = open_recogniser()
    found.names = ("red", *found.names[1:])
    return found

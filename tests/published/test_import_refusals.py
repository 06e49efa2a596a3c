"""`mien models import` of files that no publisher meant: one sentence, exit code 2, no folder."""

import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mien.checkpoint import WEIGHTS, save_model
from mien.errors import BadInput, BadModel
from mien.generators import pggan, stylegan
from mien.generators.stylegan2 import Architecture, Generator
from mien.published import _folder, _pggan, _stylegan, import_model, read, rosinality
from tests.published import fakes
from tests.published.fakes import Call

TEN_GB = 10 << 30
SHAPE = Architecture(size=16, latent=12, layers=2, base=128, most=16)
STAR = {
    "main.0.weight": np.zeros((4, 8, 7, 7)), "main.1.weight": np.zeros(4),
    "main.3.weight": np.zeros((8, 4, 4, 4)),
}  # fmt: skip
NESTED = b"K\x01" + b"2\x86" * 60  # (x, x) of (x, x) of ...: 2^60 numbers in 122 bytes
STORAGE = b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\n%bX\x03\x00\x00\x00cpuK\x04%btQ."
OLD = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {}))


def arrays(network):
    return {key: value.numpy() for key, value in network.state_dict().items()}


def held(theirs):
    return {key: torch.from_numpy(np.array(value)) for key, value in theirs.items()}


def saved(tensors, **more):
    buffer = io.BytesIO()
    torch.save({"g_ema": held(tensors), **more}, buffer)
    return buffer.getvalue()


def faces(**changes):
    """A StyleGAN2 file with some tensors replaced, or left out where they are None."""
    theirs = rosinality.generator_from_ours(arrays(Generator(SHAPE)), SHAPE) | changes
    return saved({key: value for key, value in theirs.items() if value is not None})


def zipped(pickled):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in (("data.pkl", pickled), ("data/0", bytes(16)), ("version", b"3\n")):
            archive.writestr(f"archive/{name}", data)
    return buffer.getvalue()


def unknown_class():
    class Unknown:
        pass

    Unknown.__module__, Unknown.__qualname__ = "models.psp", "Unknown"
    with fakes.modules("models.psp") as (home,):
        home.Unknown = Unknown
        return pickle.dumps(Unknown())


def wide_stylegan():
    """Heads for 2 million px in a file of some kilobytes."""
    shape = stylegan.Architecture(8, 64, 8, 6, 1)
    theirs = _stylegan.generator_from_ours(arrays(stylegan.Generator(shape)), shape)
    for n in range(20):
        theirs |= {f"synthesis.output{n}.bias": np.zeros(3)}
        theirs |= {f"synthesis.layer{2 * n}.bias": np.zeros(8)}
    return saved(theirs)


def wide_pggan():
    """Biases of a million channels, whose kernels would take 36 TB."""
    shape = pggan.Architecture(8, 64, 8, 6)
    theirs = _pggan.generator_from_ours(arrays(pggan.Generator(shape)), shape)
    return saved(theirs | {f"layer{n}.bias": np.zeros(1_000_000, np.float32) for n in (0, 2)})


def without_noise():
    """Layers for 262,144 px: noise maps that are missing are drawn in the size declared."""
    widths = {f"convs.{n}.activate.bias": np.zeros(1) for n in range(32)}
    widths |= {f"to_rgbs.{n}.bias": np.zeros((1, 3, 1, 1)) for n in range(16)}
    return faces(**widths)


FILES = {
    "os.system": (lambda: pickle.dumps(Call(os.system, "touch sentinel")), "posix.system"),
    "unknown class": (unknown_class, "wants to call models.psp.Unknown"),
    "cut zip": (lambda: faces()[:20_000], "damaged or cut zip"),
    "wrong shape": (
        lambda: faces(**{"convs.1.conv.weight": np.zeros((1, 2, 3))}),
        "convs.1.conv.weight of this StyleGAN2 generator has shape [1, 2, 3]",
    ),
    "NaN": (
        lambda: faces(**{"to_rgb1.bias": np.full((1, 3, 1, 1), np.nan)}),
        "holds NaN or infinite numbers in ",
    ),
    "no width": (lambda: faces(**{"conv1.activate.bias": np.zeros(0)}), "[0], which is empty"),
    "ten gigabytes in a torch file": (
        lambda: zipped(STORAGE.replace(b"K\x04", b"\x8a\x05" + struct.pack("<q", TEN_GB)[:5])
                       % (b"X\x01\x00\x00\x000", b"")),
        "declares 42949672960 bytes of numbers where it holds 16",
    ),
    "ten gigabytes in a pickle": (
        lambda: b"\x80\x04\x8e" + struct.pack("<Q", TEN_GB) + b"data.",
        "expected 10737418240 bytes",
    ),
    "empty": (lambda: b"", "is empty"),
    "text": (lambda: b"just a text\nof two lines\n", "of no known format"),
    "two million px": (wide_stylegan, "declares 2097152 px, more than"),
    "a million channels": (wide_pggan, "expected 96000000 numbers"),
    "noise to be drawn": (without_noise, "declares 262144 px, more than"),
    "long floats": (lambda: pickle.dumps(STAR | {"x": np.zeros(2, np.longdouble)}), "not plain"),
    "half a character": (lambda: pickle.dumps(STAR | {"\ud800": np.zeros(2)}), r"tensor \ud800"),
    "the name of a header": (
        lambda: pickle.dumps(STAR | {"__metadata__": np.zeros(2)}), "tensor __metadata__",
    ),
    "a nested name": (lambda: b"\x80\x04" + NESTED + b"\x8c\x01a\x93.", "without a name"),
    "a nested class": (
        lambda: b"\x80\x02ctorch_utils.persistence\n_reconstruct_persistent_obj\n}(U\nclass_name"
        + NESTED + b"U\x05state}u\x85R.",
        "no network",
    ),
    "a nested variable": (
        lambda: b"\x80\x02ctfutil\nNetwork\n)\x81}(U\x09variables]" + NESTED
        + b"G" + bytes(8) + b"\x86aub.",
        "has a tuple as a key",
    ),
    "a nested key": (lambda: zipped(STORAGE % (NESTED, b"")), "in an unknown way"),
    "a nested key in an old file": (lambda: OLD + STORAGE % (NESTED, b"N"), "tuple as a key"),
    "a shape of 5,000 sides": (
        lambda: b"\x80\x02cnumpy.core.numeric\n_frombuffer\n(U\x01acnumpy\ndtype\nU\x02f4\x85R("
        + b"K\x01" * 5000 + b"ttR.",
        "no tensor can have",
    ),
}  # fmt: skip


@pytest.fixture
def refusal(tmp_path, monkeypatch):
    """Import a path with the command line, which must refuse; the sentence it says."""
    monkeypatch.chdir(tmp_path)

    def run(path, out="model"):
        from mien.cli.app import app

        before = sorted(tmp_path.rglob("*"))
        result = CliRunner().invoke(app, ["models", "import", str(path), "-o", out])
        assert (result.exit_code, result.stdout) == (2, ""), result.output
        [sentence] = result.stderr.splitlines()
        assert sentence.startswith("mien: ")
        assert len(sentence) < 300
        assert sorted(tmp_path.rglob("*")) == before
        return sentence

    return run


@pytest.mark.parametrize("kind", FILES)
def test_one_sentence_and_nothing_written(tmp_path, refusal, kind):
    build, reason = FILES[kind]
    (tmp_path / "file").write_bytes(build())
    sentence = refusal("file")
    assert reason in sentence
    assert "file" in sentence


def test_what_is_no_file(tmp_path, refusal):
    assert "is a folder" in refusal(".")
    assert "No such file" in refusal("absent")
    os.mkfifo(tmp_path / "pipe")
    assert "is a pipe or device" in refusal("pipe")
    assert "is a pipe or device" in refusal(os.devnull)


def test_what_is_no_new_folder(tmp_path, refusal):
    (tmp_path / "file").write_bytes(faces())
    assert "file is a file; choose the name of a folder" in refusal("file", "file")
    assert "file is a file; choose the name of a folder" in refusal("file", "file/model")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / WEIGHTS).write_bytes(b"of another program")
    assert "other holds a model already" in refusal("file", "other")


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(faces())

    def fail(folder, tensors, card):
        save_model(folder, tensors, card)
        raise BadInput("no space left")

    monkeypatch.setattr(_folder, "save_model", fail)
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "notes.txt").write_text("mine")
    for folder in (tmp_path / "new" / "model", kept):
        with pytest.raises(BadInput, match="no space left"):
            import_model(tmp_path / "file", folder)
    assert not (tmp_path / "new").exists()
    assert [path.name for path in kept.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("save", "reason"),
    [
        (lambda path: np.save(path, np.zeros((1, 0))), "boundary of shape [1, 0]"),
        (lambda path: np.save(path, np.full((1, 8), 1e300)), "huge values in boundary"),
        (
            lambda path: np.savez(
                path, comp=np.ones((0, 1, 8)), mean=np.ones((1, 8)), std=np.ones(0)
            ),
            "comp of shape [0, 1, 8]",
        ),
        (
            lambda path: np.savez(
                path, comp=np.ones((2, 8)), mean=np.ones((1, 8)), std=np.array([1, np.nan])
            ),
            "(std) holds NaN",
        ),
    ],
)
def test_directions_that_cannot_be_measured(tmp_path, save, reason):
    with (tmp_path / "file").open("wb") as handle:
        save(handle)
    with pytest.raises((BadInput, BadModel), match="file") as caught:
        read(tmp_path / "file")
    assert reason in str(caught.value)

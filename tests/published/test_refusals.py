"""Files that would run code, are damaged, or declare more than they hold."""

import io
import os
import pickle
import random
import struct
import tracemalloc
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from mien.errors import BadInput, BadModel
from mien.published import detect, read
from tests.published import fakes
from tests.published.fakes import Call

GIGABYTE = 1 << 30
KNOWN = {"conv1.conv.modulation.weight": torch.zeros(2, 2)}


def refusal(path):
    """The one sentence that reading the file ends with."""
    with pytest.raises(BadModel) as caught:
        read(path)
    sentence = str(caught.value)
    assert sentence.startswith(str(path))
    assert "\n" not in sentence
    return sentence


def nested(value):
    """A stylegan2-ada-like pickle whose tensor's bytes are a torch file of `value`."""
    inner = io.BytesIO()
    torch.save(value, inner, _use_new_zipfile_serialization=False)
    return pickle.dumps({"G_ema": Call(torch.storage._load_from_bytes, inner.getvalue())})


def saved(value, **options):
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


CONTAINERS = {
    "pickle": lambda evil: pickle.dumps({"G_ema": evil}, 4),
    "pickle of protocol 0": lambda evil: pickle.dumps(evil, 0),
    "pickle of protocol 2": lambda evil: pickle.dumps([evil], 2),
    "zip": lambda evil: saved({"g_ema": KNOWN, "args": evil}),
    "old torch": lambda evil: saved({"x": evil}, _use_new_zipfile_serialization=False),
    "pickle in a tensor": nested,
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_call_of_os_system_is_named_and_never_made(tmp_path, container):
    sentinel = tmp_path / "sentinel"
    data = CONTAINERS[container](Call(os.system, f"touch {sentinel}"))
    path = tmp_path / "a.pt"
    path.write_bytes(data)
    sentence = refusal(path)
    with pytest.raises(BadModel, match="wants to call"):
        detect(path)
    assert "wants to call posix.system" in sentence
    assert "nothing of it was run" in sentence
    assert not sentinel.exists()


def test_that_call_would_have_been_made(tmp_path):
    sentinel = tmp_path / "sentinel"
    pickle.loads(CONTAINERS["pickle"](Call(os.system, f"touch {sentinel}")))
    assert sentinel.exists()


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        (b"(S'true'\nios\nsystem\n.", "os.system"),
        (b"(cos\nsystem\nS'true'\no.", "os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.", "os.system"),
        (b"\x80\x04cbuiltins\neval\n\x8c\x011\x85R.", "builtins.eval"),
        (b"\x80\x02cbuiltins\ngetattr\n.", "builtins.getattr"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0ftesting.os.path\x93.", "numpy.testing.os.path"),
        (b"\x80\x02cmodels.psp\npSp\n)\x81}b.", "models.psp.pSp"),
        (b"\x80\x02ctorch.jit\nload\n.", "torch.jit.load"),
        (b"\x80\x02c\x1b[31mevil\nname\n.", r"\x1b[31mevil.name"),
        (b"\x80\x02c" + b"a" * 500 + b"\nb\n.", "aaa..."),
    ],
)
def test_names_outside_the_table_are_refused_at_once(tmp_path, data, named):
    path = tmp_path / "a.pkl"
    path.write_bytes(data)
    assert named in refusal(path)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"\x80\x02", "cut short"),
        (b"just text", "no known format"),
        (b"\x80\x02]q\x00.", "no network"),
        (b"\x80\x02}(U\x05firstK\x01U\x06secondK\x02u.", "first, second"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x02K\x01}b.", "gives a state to a int"),
        (b"\x80\x02}K\x01a.", "adds items to a dict"),
        (b"\x80\x02}))s.", "tuple as a key"),
        (b"\x80\x02K\x01K\x02\x85R.", "no name"),
        (b"\x80\x02K\x05Q.", "outside its pickle"),
        (b"\x80\x02h\x07.", "damaged"),
        (b"\x80\x02cargparse\nNamespace\n}(U\x01aK\x01u\x92.", "named arguments"),
        (b"  <!DOCTYPE html><html><body>Virus scan warning", "web page"),
        (b"<HTML><body>Sign in", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git-lfs"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"PK\x03\x04" + bytes(40), "zip"),
    ],
)
def test_what_is_no_checkpoint_says_why(tmp_path, data, reason):
    path = tmp_path / "a.pt"
    path.write_bytes(data)
    assert reason in refusal(path)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(BadInput, match=r"cannot read .*absent: No such"):
        read(tmp_path / "absent")
    with pytest.raises(BadInput, match="is a folder"):
        read(tmp_path)


def test_an_archive_of_checkpoints_names_what_is_in_it(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("200000-G.ckpt", b"x")
    assert "200000-G.ckpt" in refusal(path)


def bomb(kind):
    """Bytes of a file that declares ten gigabytes or more."""
    huge = 10 * GIGABYTE
    header = io.BytesIO()
    declared = {"descr": "<f4", "fortran_order": False, "shape": (1, huge // 4)}
    np.lib.format.write_array_header_1_0(header, declared)
    array = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    array += b"(K\x01J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86"
    array += b"cnumpy\ndtype\nU\x02f4\x89\x88\x87RK\x00U\x04datatb."
    encode = (
        b"\x80\x02]q\x00c_codecs\nencode\nq\x01X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20)
    )
    encode += b"X\x06\x00\x00\x00latin1\x86q\x02" + b"h\x01h\x02R" * 500 + b"."
    return {
        "bytes": b"\x80\x04\x8e" + struct.pack("<Q", huge) + b"data.",
        "text": b"\x80\x04\x8d" + struct.pack("<Q", huge) + b"data.",
        "bytearray": b"\x80\x05\x96" + struct.pack("<Q", huge) + b"data.",
        "frame": b"\x80\x04\x95" + struct.pack("<Q", huge) + b"}.",
        "memo": b"\x80\x04}r\xff\xff\xff\xff.",
        "npy": header.getvalue() + bytes(64),
        "array": array,
        "repeated calls": encode,
    }[kind]


@pytest.mark.parametrize(
    "kind", ["bytes", "text", "bytearray", "frame", "memo", "npy", "array", "repeated calls"]
)
def test_declared_sizes_take_no_memory(tmp_path, kind):
    path = tmp_path / "a.pkl"
    path.write_bytes(bomb(kind))
    tracemalloc.start()
    try:
        refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 64e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("count", "shape", "stride", "offset", "reason"),
    [
        (10 * GIGABYTE // 4, (10 * GIGABYTE // 4,), (1,), 0, "declares 10737418240 bytes"),
        (4, (10 * GIGABYTE // 4,), (0,), 0, "over 4 numbers"),
        (4, (5,), (1,), 0, "over 4 numbers"),
        (4, (2, 2), (4, 1), 0, "over 4 numbers"),
        (4, (2, 2), (2, 1), 1, "over 4 numbers"),
        (4, (2, 2), (2, 1), -1, "over 4 numbers"),
        (4, (2, 2), (2,), 0, "strides"),
        (4, (-2, 2), (2, 1), 0, "shape"),
        (4, (2, 2), (-2, 1), 0, "strides"),
        (5, (4,), (1,), 0, "declares 20 bytes of numbers where it holds 16"),
        (4, (2.0, 2), (2, 1), 0, "whole numbers"),
    ],
)
def test_tensors_outside_their_numbers(tmp_path, count, shape, stride, offset, reason):
    value = {"conv1.conv.modulation.weight": fakes.tensor(count, shape, stride, offset)}
    path = fakes.torch_zip(tmp_path / "a.pt", value, np.arange(4, dtype=np.float32).tobytes())
    assert reason in refusal(path)


def test_the_same_file_with_a_fitting_tensor_is_read(tmp_path):
    value = {"conv1.conv.modulation.weight": fakes.tensor(4, (2, 2), (1, 2))}
    path = fakes.torch_zip(tmp_path / "a.pt", value, np.arange(4, dtype=np.float32).tobytes())
    [found] = read(path).tensors.values()
    np.testing.assert_array_equal(found, [[0, 2], [1, 3]])
    assert torch.equal(torch.load(path, weights_only=True)[next(iter(value))], torch.tensor(found))


def test_a_compressed_storage_is_refused(tmp_path):
    value = {"conv1.conv.modulation.weight": fakes.tensor(4, (2, 2), (2, 1))}
    path = fakes.torch_zip(tmp_path / "a.pt", value, bytes(16), zipfile.ZIP_DEFLATED)
    assert "compressed" in refusal(path)


def test_a_compressed_array_that_declares_gigabytes_is_refused(tmp_path):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, lat_comp=np.zeros((5, 1, 8)), lat_mean=np.zeros(1), lat_stdev=1.0)
    data = bytearray(buffer.getvalue())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 4 * GIGABYTE - 16)
    (tmp_path / "a.npz").write_bytes(data)
    assert "more than its file can hold" in refusal(tmp_path / "a.npz")


def test_objects_in_numpy_files_are_refused(tmp_path):
    sentinel = tmp_path / "sentinel"
    np.save(tmp_path / "a.npy", np.array([Call(os.system, f"touch {sentinel}")]), allow_pickle=True)
    assert "Python objects" in refusal(tmp_path / "a.npy")
    assert not sentinel.exists()
    np.save(tmp_path / "b.npy", np.array(["text"]))
    assert "not plain numbers" in refusal(tmp_path / "b.npy")
    np.save(tmp_path / "c.npy", np.zeros((20, 512)))
    assert "expected one direction" in refusal(tmp_path / "c.npy")


def test_trees_that_unfold_without_end_are_refused(tmp_path):
    level = {"a": torch.zeros(1)}
    for _ in range(28):  # 2^28 paths to one tensor
        level = {"a": level, "b": level}
    torch.save(level, tmp_path / "wide.pt")
    assert "more than" in refusal(tmp_path / "wide.pt")
    loop = OrderedDict()
    loop["self"] = loop
    torch.save(loop, tmp_path / "loop.pt")
    assert "deeper" in refusal(tmp_path / "loop.pt")


def originals(folder):
    """One small valid file of each container."""
    weights = {"conv1.conv.modulation.weight": torch.randn(3, 2), "b": torch.randn(2)}
    torch.save({"g_ema": weights, "latent_avg": torch.randn(2)}, folder / "zip")
    torch.save(weights, folder / "old", _use_new_zipfile_serialization=False)
    network = {"synthesis.b4.const": np.ones((2, 2), np.float32)}
    fakes.nvidia_pickle(folder / "nvidia", network, {"z_dim": 2})
    fakes.torch_tar(folder / "tar", {key: value.numpy() for key, value in weights.items()})
    np.save(folder / "npy", np.ones((1, 8)))
    np.savez_compressed(folder / "npz.npz", comp=np.ones((2, 3)), mean=np.ones(3), std=np.ones(2))
    return sorted(folder.iterdir())


def test_cut_files_are_refused_wherever_they_are_cut(tmp_path):
    folder = tmp_path / "whole"
    folder.mkdir()
    for original in originals(folder):
        whole = original.read_bytes()
        read(original)
        step = max(1, len(whole) // 60)
        needed = whole.rstrip(b"\0") if original.name == "tar" else whole  # tar pads its end
        for end in range(1, len(needed), step):
            path = tmp_path / "cut"
            path.write_bytes(whole[:end])
            with pytest.raises(BadModel):
                read(path)


@pytest.mark.filterwarnings("ignore:invalid escape sequence")  # pickletools, over odd names
def test_damaged_files_are_read_or_refused_but_never_crash(tmp_path):
    chance = random.Random(0)
    folder = tmp_path / "whole"
    folder.mkdir()
    path = tmp_path / "damaged"
    refused = 0
    for original in originals(folder):
        whole = original.read_bytes()
        for _ in range(150):
            data = bytearray(whole)
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            path.write_bytes(data)
            try:
                read(path)
            except BadModel:
                refused += 1
    assert refused > 100

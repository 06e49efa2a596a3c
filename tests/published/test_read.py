"""Every published format, read and compared with what its own tools wrote."""

import argparse
import io
from collections import OrderedDict

import numpy as np
import pytest
import torch

from mien.published import Kind, detect, read
from mien.published._open import open_content
from mien.published._read import read_part
from mien.published._tree import arrays, flatten
from tests.published import fakes

RANDOM = np.random.default_rng(0)
ODD = OrderedDict(
    plain=torch.randn(3, 4),
    turned=torch.randn(4, 3).t(),
    part=torch.randn(10)[3:7],
    scalar=torch.tensor(3.5),
    half=torch.randn(2, 2).half(),
    brain=torch.randn(5).bfloat16(),
    double=torch.randn(3).double(),
    numbers=torch.arange(4),
    bytes=torch.arange(4).to(torch.uint8),
    flags=torch.tensor([True, False]),
    parameter=torch.nn.Parameter(torch.randn(5)),
    empty=torch.zeros(0, 3),
)


def tensors(arrays_by_name):
    return OrderedDict((k, torch.from_numpy(v)) for k, v in arrays_by_name.items())


def named(*pairs):
    return {name: RANDOM.standard_normal(shape).astype(np.float32) for name, shape in pairs}


ROSINALITY = named(("conv1.conv.modulation.weight", (4, 8)), ("style.1.weight", (8, 8)))
NVIDIA = named(
    ("synthesis.b4.const", (4, 4, 4)), ("mapping.fc0.weight", (8, 8)), ("mapping.w_avg", (8,))
)
STYLEGAN2 = named(("synthesis.early_layer.const", (1, 4, 4, 4)), ("truncation.w_avg", (8,)))
STYLEGAN = named(
    ("synthesis.layer0.const", (1, 4, 4, 4)), ("synthesis.layer0.apply_noise.weight", (4,))
)
OLD_STYLEGAN = named(("synthesis.layer0.first_layer", (1, 4, 4, 4)))
PGGAN = named(("layer0.weight", (4, 4, 4, 4)), ("output0.weight", (3, 4, 1, 1)), ("lod", ()))
OLD_PGGAN = named(("layer0.conv.weight", (4, 4, 4, 4)), ("output0.conv.weight", (3, 4, 1, 1)))
STARGAN = named(
    ("main.0.weight", (4, 8, 7, 7)), ("main.1.weight", (4,)), ("main.3.weight", (8, 4, 4, 4))
)
TRACKED = STARGAN | named(("main.1.running_mean", (4,)), ("main.1.running_var", (4,)))
LOOKUP = named(("L1.weight", (4, 3, 7, 7)), ("L2.gain.weight", (5, 4)))
CRITIC = named(
    ("main.0.bias", (4,)), ("conv1.weight", (1, 4, 3, 3)), ("conv2.weight", (5, 4, 2, 2))
)


def equal(found, wanted):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name].shape == value.shape, name
        np.testing.assert_array_equal(found[name], value, name)


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_hold_what_torch_loads(tmp_path, zipped):
    path = tmp_path / "a.bin"
    torch.save(ODD, path, _use_new_zipfile_serialization=zipped)
    loaded = torch.load(path, weights_only=True)
    content = open_content(path)
    found = arrays(flatten(content.value), content.size)
    assert found.keys() == loaded.keys()
    for name, value in loaded.items():
        wanted = value.detach().float() if name == "brain" else value.detach()
        assert found[name].dtype == wanted.numpy().dtype, name
        np.testing.assert_array_equal(found[name], wanted.numpy(), name)


def test_torch_files_without_checksums_are_read(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"g_ema": tensors(ROSINALITY)}, tmp_path / "a.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    equal(read(tmp_path / "a.pt").tensors, ROSINALITY)


def test_tar_files_hold_what_torch_loads(tmp_path):
    turned = np.asfortranarray(RANDOM.random((2, 3), np.float32))
    path = fakes.torch_tar(tmp_path / "a.pt", ROSINALITY | {"turned": turned})
    loaded = torch.load(path, weights_only=False)  # the file was written by this test
    equal(read(path).tensors, {name: value.numpy() for name, value in loaded.items()})


@pytest.mark.parametrize(
    ("kind", "held", "wanted"),
    [
        (Kind.ROSINALITY, {"g_ema": tensors(ROSINALITY)}, ROSINALITY),
        (Kind.ROSINALITY, {"g": tensors(PGGAN), "g_ema": tensors(ROSINALITY), "d": {}}, ROSINALITY),
        (Kind.ROSINALITY, {f"module.{k}": v for k, v in tensors(ROSINALITY).items()}, ROSINALITY),
        (Kind.NVIDIA, tensors(NVIDIA), NVIDIA),
        (
            Kind.GENFORCE_STYLEGAN2,
            {"generator": {}, "generator_smooth": tensors(STYLEGAN2)},
            STYLEGAN2,
        ),
        (Kind.GENFORCE_STYLEGAN, {"generator_smooth": tensors(STYLEGAN)}, STYLEGAN),
        (Kind.GENFORCE_STYLEGAN, tensors(OLD_STYLEGAN), OLD_STYLEGAN),
        (Kind.GENFORCE_PGGAN, {"generator": tensors(PGGAN)}, PGGAN),
        (Kind.GENFORCE_PGGAN, tensors(OLD_PGGAN), OLD_PGGAN),
        (Kind.STARGAN, tensors(STARGAN), STARGAN),
        (Kind.STARGAN, tensors(TRACKED), TRACKED),
        (Kind.STARGAN, tensors(LOOKUP), LOOKUP),
        (Kind.STARGAN_DISCRIMINATOR, tensors(CRITIC), CRITIC),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_layouts_are_told_by_their_tensors(tmp_path, kind, held, wanted, zipped):
    path = tmp_path / "says-nothing"
    torch.save(held, path, _use_new_zipfile_serialization=zipped)
    published = read(path)
    assert published.kind == kind == detect(path)
    equal(published.tensors, wanted)


def test_training_files_of_rosinality(tmp_path):
    average = torch.randn(8)
    options = argparse.Namespace(size=256, path="lmdb", betas=(0.0, 0.99), resume=None)
    other = tensors(named(("final_conv.0.weight", (2, 2))))
    held = {
        "g": tensors(PGGAN), "d": other, "g_ema": tensors(ROSINALITY), "latent_avg": average,
        "g_optim": {"state": {0: {"step": 3, "avg": torch.zeros(2)}}, "param_groups": [{"lr": 1}]},
        "args": options, "ada_aug_p": 0.25,
    }  # fmt: skip
    torch.save(held, tmp_path / "a.pt")
    published = read(tmp_path / "a.pt")
    equal(published.tensors, ROSINALITY | {"latent_avg": average.numpy()})
    assert published.extras == {
        "args": {"size": 256, "path": "lmdb", "betas": [0.0, 0.99], "resume": None},
        "ada_aug_p": 0.25,
    }
    equal(read_part(tmp_path / "a.pt", "discriminator"), {k: v.numpy() for k, v in other.items()})


@pytest.mark.parametrize("options", [dict, argparse.Namespace])
@pytest.mark.parametrize(
    ("encoder", "kind"), [("Encoder4Editing", Kind.E4E), ("GradualStyleEncoder", Kind.PSP)]
)
def test_encoders_keep_their_options_and_averages(tmp_path, options, encoder, kind):
    networks = {f"decoder.{k}": v for k, v in ROSINALITY.items()}
    networks |= named(("encoder.input_layer.0.weight", (4, 3, 3, 3)))
    average = torch.randn(18, 8)
    held = {
        "state_dict": tensors(networks),
        "opts": options(encoder_type=encoder, output_size=1024),
    }
    torch.save(held | {"latent_avg": average}, tmp_path / "a.pt")
    published = read(tmp_path / "a.pt")
    assert published.kind == kind
    assert published.extras == {"opts": {"encoder_type": encoder, "output_size": 1024}}
    equal(published.tensors, networks | {"latent_avg": average.numpy()})


def test_persistent_modules_of_nvidia(tmp_path):
    kwargs = {"z_dim": 8, "img_resolution": 16, "synthesis_kwargs": {"conv_clamp": 256}}
    published = read(fakes.nvidia_pickle(tmp_path / "a.pkl", NVIDIA, kwargs))
    assert published.kind == Kind.NVIDIA
    equal(published.tensors, NVIDIA)
    assert published.config == kwargs
    assert published.extras == {"training_set_kwargs": {"path": "ffhq.zip", "resolution": 16}}


def test_networks_of_tensorflow(tmp_path):
    variables = named(
        ("dlatent_avg", (8,)), ("mapping/Dense0/weight", (8, 8)),
        ("synthesis/4x4/Const/const", (1, 4, 4, 4)), ("synthesis/4x4/Conv/mod_weight", (8, 4)),
    )  # fmt: skip
    variables["lod"] = np.float32(0.0)
    path = fakes.tensorflow_pickle(tmp_path / "a.pkl", variables, {"resolution": 16})
    published = read(path)
    assert published.kind == Kind.NVIDIA_TF
    assert published.config == {"resolution": 16}
    dotted = {
        name.replace("/", ".", 1) if name[0] in "ms" else name: v for name, v in variables.items()
    }
    equal(published.tensors, dotted)


@pytest.mark.parametrize("shape", [(1, 512), (512,), (1, 18, 512)])
def test_directions(tmp_path, shape):
    [(_, wanted)] = named(("a", shape)).items()
    np.save(tmp_path / "a.npy", wanted.astype(np.float64))
    torch.save(torch.from_numpy(wanted), tmp_path / "a.pt")
    boundary, direction = read(tmp_path / "a.npy"), read(tmp_path / "a.pt")
    assert (boundary.kind, direction.kind) == (Kind.BOUNDARY, Kind.DIRECTION)
    np.testing.assert_array_equal(boundary.tensors["boundary"], wanted.astype(np.float64))
    np.testing.assert_array_equal(direction.tensors["direction"], wanted)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_components_of_ganspace(tmp_path, save):
    wanted = named(
        ("lat_comp", (5, 1, 8)), ("lat_mean", (1, 8)), ("lat_stdev", (5,)), ("act_comp", (5, 4))
    )
    save(tmp_path / "a.npz", **wanted)
    published = read(tmp_path / "a.npz")
    assert published.kind == Kind.GANSPACE
    equal(published.tensors, wanted)
    wanted = named(("comp", (5, 1, 8)), ("mean", (1, 8)), ("std", (5,)))
    torch.save(tensors(wanted), tmp_path / "a.pt")
    assert read(tmp_path / "a.pt").kind == Kind.GANSPACE
    equal(read(tmp_path / "a.pt").tensors, wanted)


def test_factors_of_sefa(tmp_path):
    vectors = torch.randn(8, 8)
    torch.save({"ckpt": "550000.pt", "eigvec": vectors}, tmp_path / "a.pt")
    published = read(tmp_path / "a.pt")
    assert (published.kind, published.extras) == (Kind.SEFA, {"ckpt": "550000.pt"})
    equal(published.tensors, {"eigvec": vectors.numpy()})


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f2", "<i8", "|u1", "|b1"])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_numpy_arrays_in_pickles(tmp_path, order, dtype, protocol):
    import pickle

    wanted = np.array(RANDOM.integers(0, 2, (3, 4)), dtype, order=order)
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"a": wanted, "b": wanted[0, 0]}, protocol))
    value = open_content(path).value
    np.testing.assert_array_equal(value["a"].array(), wanted)
    assert value["a"].array().dtype == wanted.dtype
    assert value["b"] == wanted[0, 0].item()


def test_npy_files_in_column_order(tmp_path):
    wanted = np.asfortranarray(RANDOM.random((1, 3, 4)))
    np.save(tmp_path / "a.npy", wanted)
    np.testing.assert_array_equal(read(tmp_path / "a.npy").tensors["boundary"], wanted)


def test_a_buffer_of_several_tensors_is_shared(tmp_path):
    base = torch.arange(12.0)
    held = {"conv1.conv.modulation.weight": base[:8].view(2, 4), "x": base[4:].view(4, 2).t()}
    for zipped in (True, False):
        buffer = io.BytesIO()
        torch.save(held, buffer, _use_new_zipfile_serialization=zipped)
        (tmp_path / "a.pt").write_bytes(buffer.getvalue())
        equal(read(tmp_path / "a.pt").tensors, {k: v.numpy() for k, v in held.items()})

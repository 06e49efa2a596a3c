"""Published networks as model folders, and back."""

import hashlib
import json
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mien.checkpoint import load_model
from mien.encoders import e4e, psp
from mien.errors import BadInput, BadModel, UnknownName
from mien.generators import open_space
from mien.generators.stargan import open_translator
from mien.generators.stylegan2 import Architecture, Generator
from mien.published import (
    DIRECTIONS,
    Kind,
    _folder,
    catalogue,
    genforce,
    import_model,
    nvidia,
    read,
    rosinality,
)
from mien.published._export import export_model
from mien.recognise.ir_se import TrunkShape
from mien.types import Latent
from tests.parity import fill
from tests.published import fakes

LAYOUTS = {"rosinality": rosinality, "nvidia": nvidia, "genforce": genforce}
SHAPE = Architecture(size=16, latent=12, layers=3, base=128, most=16)


@pytest.fixture(scope="module")
def ours():
    """A small generator, every tensor random, under our keys."""
    random = np.random.default_rng(3)
    shapes = {k: v.shape for k, v in Generator(SHAPE).state_dict().items()}
    return {k: random.standard_normal(shape).astype(np.float32) for k, shape in shapes.items()}


def equal(found, wanted, tolerance=0.0):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert np.abs(found[name] - value).max() <= tolerance, name


def saved(path, layout, ours):
    """The generator as the file that the layout's own training writes."""
    theirs = LAYOUTS[layout].generator_from_ours(ours, SHAPE)
    held = {k: torch.from_numpy(v) for k, v in theirs.items()}
    average = torch.from_numpy(ours["average"])
    if layout == "nvidia":
        kwargs = {"z_dim": 12, "mapping_kwargs": {"num_layers": 3}, "synthesis_kwargs": {}}
        fakes.nvidia_pickle(path, theirs, kwargs)
    elif layout == "rosinality":
        torch.save({"g": held, "g_ema": held, "latent_avg": average}, path)
    elif layout == "genforce":
        torch.save({"generator": {}, "generator_smooth": held}, path)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_model(tmp_path, ours, layout):
    path = saved(tmp_path / "file", layout, ours)
    card = import_model(path, tmp_path / "model", "face")
    tensors, kept = load_model(tmp_path / "model")
    equal(tensors, ours, 1e-6)
    assert kept == json.loads(json.dumps({**card, "sha256": kept["sha256"]}))
    assert (card["name"], card["kind"], card["architecture"]) == ("face", "space", "stylegan2")
    assert card["space"] == "w+"
    assert card["input"] == {"size": 16, "range": [-1, 1], "frame": "ffhq"}
    assert card["source"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert card["source"]["file"] == "file"
    assert Architecture(**card["options"]).channels == SHAPE.channels


TRUNK = TrunkShape((4, 4, 6, 8, 10), (2, 1, 2, 1), squeeze=2)
SIZES = psp.Architecture(size=32, styles=6, latent=12, trunk=TRUNK)
ENCODERS = {
    "GradualStyleEncoder": psp.Encoder,
    "BackboneEncoderUsingLastLayerIntoW": psp.IntoW,
    "BackboneEncoderUsingLastLayerIntoWPlus": psp.IntoRows,
    "Encoder4Editing": e4e.Encoder,
}


def encoder_file(path, ours, encoder, rows=(6,), **beside):
    """A file of pSp or e4e as theirs are written, and the encoder in it."""
    torch.manual_seed(1)
    network = ENCODERS[encoder](SIZES).eval()
    theirs = rosinality.generator_from_ours(ours, SHAPE)
    held = {f"decoder.{k}": torch.from_numpy(v) for k, v in theirs.items()}
    held |= {f"encoder.{k}": v for k, v in network.state_dict().items()}
    average = torch.from_numpy(ours["average"]).expand(*rows, 12).clone()
    options = {"encoder_type": encoder, "checkpoint_path": "a.pt"} | beside.pop("opts", {})
    torch.save({"state_dict": held, "latent_avg": average, "opts": options} | beside, path)
    return network


@pytest.mark.parametrize("rows", [(), (1,), (6,)])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_encoders_and_their_decoders_make_a_whole_space(tmp_path, ours, rows, encoder):
    network = encoder_file(tmp_path / "a.pt", ours, encoder, rows)
    card = import_model(tmp_path / "a.pt", tmp_path / "model")
    assert card["source"]["format"] == ("e4e" if encoder == "Encoder4Editing" else "psp")
    assert card["name"] == "model"
    equal(load_model(tmp_path / "model")[0], ours, 1e-6)
    space = open_space(tmp_path / "model")
    faces = torch.rand(3, 3, 16, 16) * 2 - 1
    latent = space.encode(faces.numpy())
    assert (latent.space, latent.model, latent.values.shape) == ("w+", space.mark, (3, 6, 12))
    gradual = encoder in ("GradualStyleEncoder", "Encoder4Editing")
    side = 32 if gradual else 256  # no key tells what the others read; published ones read 256 px
    faces = F.interpolate(faces, side)
    with torch.no_grad():
        codes = network(faces)
    rows = (codes[:, None] if codes.ndim == 2 else codes).expand(3, 6, 12)
    np.testing.assert_allclose(latent.values, rows.numpy() + ours["average"], atol=1e-4)


@pytest.mark.parametrize(
    ("step", "schedule", "stage"),
    [
        (None, {"progressive_steps": [0, 20, 22]}, 5),  # finished: saved without training data
        (19, {"progressive_steps": [0, 20, 22]}, 0),
        (21, {"progressive_steps": [0, 20, 22]}, 1),
        (24, {"progressive_start": 20, "progressive_step_every": 2}, 3),
        (19, {"progressive_start": 20, "progressive_step_every": 2}, 0),
        (500, {"progressive_start": 20, "progressive_step_every": 2}, 5),
        (19, {}, 5),  # trained without stages
    ],
)
def test_half_trained_encoders_stay_at_their_stage(tmp_path, ours, step, schedule, stage):
    beside = {} if step is None else {"global_step": step}
    encoder_file(tmp_path / "a.pt", ours, "Encoder4Editing", opts=schedule, **beside)
    import_model(tmp_path / "a.pt", tmp_path / "model")
    space = open_space(tmp_path / "model")
    assert space.inverter.card["stage"] == stage
    values = space.encode(np.zeros((1, 3, 16, 16), np.float32)).values[0]
    assert (values[1:] != values[0]).any(1).tolist() == [n < stage for n in range(5)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda held: held.pop("encoder.styles.0.linear.weight"), "lacks its last layers"),
        (lambda held: held.pop("encoder.styles.3.linear.weight"), r"lacks encoder\.styles\.3"),
        (
            lambda held: held.update({"encoder.input_layer.0.weight": torch.zeros(4, 19, 3, 3)}),
            "19 channels",
        ),
        (
            lambda held: held.update({"encoder.latlayer1.bias": torch.full((10,), float("nan"))}),
            "NaN",
        ),
    ],
)
def test_a_broken_encoder_is_refused_and_leaves_nothing(tmp_path, ours, change, said):
    encoder_file(tmp_path / "a.pt", ours, "GradualStyleEncoder")
    held = torch.load(tmp_path / "a.pt", weights_only=True)
    change(held["state_dict"])
    torch.save(held, tmp_path / "a.pt")
    with pytest.raises(BadModel, match=said) as caught:
        import_model(tmp_path / "a.pt", tmp_path / "model")
    assert "a.pt" in str(caught.value)
    assert not (tmp_path / "model").exists()


def test_a_generator_without_average_gets_the_mean_of_its_samples(tmp_path, ours):
    theirs = rosinality.generator_from_ours(ours, SHAPE)
    torch.save({"g_ema": {k: torch.from_numpy(v) for k, v in theirs.items()}}, tmp_path / "a.pt")
    import_model(tmp_path / "a.pt", tmp_path / "model")
    average = load_model(tmp_path / "model")[0]["average"]
    generator = Generator(SHAPE)
    generator.load_state_dict({k: torch.from_numpy(v) for k, v in ours.items()})
    with torch.no_grad():
        w = generator.mapping(torch.randn(10_000, 12, generator=torch.Generator().manual_seed(7)))
    assert np.abs(average - w.mean(0).numpy()).max() < 6 * w.std(0).max() / 70  # 2 / sqrt(10,000)


def tensorflow(theirs):
    """Variables as TensorFlow holds them, from stylegan2-ada-pytorch's tensors."""
    variables = {"lod": np.float32(0)}
    layers = {"conv0": "Conv0_up", "conv1": "Conv1", "torgb": "ToRGB"}
    for name, value in theirs.items():
        if name == "mapping.w_avg":
            variables["dlatent_avg"] = value
        elif match := re.fullmatch(r"mapping\.fc(\d)\.(\w+)", name):
            variables[f"mapping/Dense{match[1]}/{match[2]}"] = value.T
        elif name == "synthesis.b4.const":
            variables["synthesis/4x4/Const/const"] = value[None]
        elif match := re.fullmatch(r"synthesis\.b(\d+)\.conv(\d)\.noise_const", name):
            level = int(match[1]).bit_length() - 1
            number = 0 if level == 2 else 2 * level - 5 + int(match[2])
            variables[f"synthesis/noise{number}"] = value[None, None]
        elif match := re.fullmatch(r"synthesis\.b(\d+)\.(conv0|conv1|torgb)\.(\S+)", name):
            size, kind, what = match.groups()
            place = f"synthesis/{size}x{size}/" + (
                "Conv" if (size, kind) == ("4", "conv1") else layers[kind]
            )
            if what == "weight":
                turned = value.transpose(2, 3, 1, 0)
                variables[f"{place}/weight"] = turned[::-1, ::-1] if kind == "conv0" else turned
            elif what == "affine.weight":
                variables[f"{place}/mod_weight"] = value.T
            elif what == "affine.bias":
                variables[f"{place}/mod_bias"] = value - 1
            elif what != "resample_filter":
                variables[f"{place}/{what}"] = value
    return {k: np.float32(v) if np.ndim(v) == 0 else v for k, v in variables.items()}


def test_networks_of_tensorflow(tmp_path, ours):
    theirs = nvidia.generator_from_ours(ours, SHAPE)
    path = fakes.tensorflow_pickle(tmp_path / "a.pkl", tensorflow(theirs))
    card = import_model(path, tmp_path / "model")
    assert card["source"]["format"] == "nvidia-tf"
    equal(load_model(tmp_path / "model")[0], ours, 1e-6)
    kwargs = {"conv_clamp": 256, "mapping_lrmul": 0.02, "mapping_layers": 3}
    path = fakes.tensorflow_pickle(tmp_path / "c.pkl", tensorflow(theirs), kwargs)
    options = import_model(path, tmp_path / "clamped")["options"]
    assert (options["clamp"], options["rate"]) == (256, 0.02)
    kwargs = {"resample_kernel": [1, 2, 1]}
    path = fakes.tensorflow_pickle(tmp_path / "d.pkl", tensorflow(theirs), kwargs)
    with pytest.raises(BadModel, match=r"d\.pkl was built with resample_kernel = \[1, 2, 1\]"):
        import_model(path, tmp_path / "other")
    strange = tensorflow(theirs) | {"synthesis/4x4/Other/weight": np.zeros(1, np.float32)}
    path = fakes.tensorflow_pickle(tmp_path / "b.pkl", strange)
    with pytest.raises(BadModel, match=r"b\.pkl holds the variable synthesis/4x4/Other/weight"):
        import_model(path, tmp_path / "other")


@pytest.mark.parametrize(
    ("name", "given", "painted"),
    [
        ("stylegan2_ada_generator", "wplus", "img_wplus"),
        ("stylegan2_sefa_generator", "wp", "G.image_wp"),
        ("stylegan_sefa_generator", "wp", "G.image_wp"),
        ("pggan_sefa_generator", "z", "G.image"),
    ],
)
def test_imported_models_paint_what_their_own_code_painted(tmp_path, name, given, painted):
    fixture = fill.load(f"tests/parity/{name}")
    state = fixture.state("G")
    if "ada" in name:
        arguments = fixture.manifest["modules"]["G"]["args"]
        fakes.nvidia_pickle(tmp_path / "file", state, arguments)
    else:
        held = {key: torch.from_numpy(value) for key, value in state.items()}
        torch.save({"generator_smooth": held}, tmp_path / "file")
    card = import_model(tmp_path / "file", tmp_path / "model")
    space = open_space(tmp_path / "model")
    latent = Latent(fixture.input(given), card["space"], space.mark)
    faces, wanted = space.decode(latent), fixture.output(painted).clip(-1, 1)
    np.testing.assert_allclose(faces, wanted, atol=fixture.manifest["outputs"][painted]["atol"])
    assert np.abs(wanted).min() < 0.5  # not everything is clipped
    assert space.decode(space.sample(1)).shape == (1, 3, space.size, space.size)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_models_go_back_into_every_layout(tmp_path, ours, layout):
    import_model(saved(tmp_path / "file", "rosinality", ours), tmp_path / "model")
    export_model(tmp_path / "model", tmp_path / "out.pt", layout)
    again = import_model(tmp_path / "out.pt", tmp_path / "again")
    assert again["source"]["format"].startswith(layout)
    equal(load_model(tmp_path / "again")[0], ours, 1e-6)
    published = read(tmp_path / "out.pt")
    average = published.tensors.pop("latent_avg", ours["average"])
    np.testing.assert_array_equal(average, ours["average"])
    wanted = LAYOUTS[layout].generator_from_ours(ours, SHAPE)
    equal(published.tensors, wanted, 1e-6)
    assert all(published.tensors[name].shape == value.shape for name, value in wanted.items())
    loaded = torch.load(tmp_path / "out.pt", weights_only=True)
    assert loaded.keys() >= {
        {"rosinality": "g_ema", "nvidia": "G_ema"}.get(layout, "generator_smooth")
    }


def test_what_cannot_be_exported(tmp_path, ours):
    import_model(saved(tmp_path / "file", "rosinality", ours), tmp_path / "model")
    with pytest.raises(UnknownName, match="did you mean rosinality"):
        export_model(tmp_path / "model", tmp_path / "out.pt", "rosinalty")
    torch.save(translator("stargan"), tmp_path / "a.ckpt")
    import_model(tmp_path / "a.ckpt", tmp_path / "translator")
    with pytest.raises(BadInput, match="is a stargan"):
        export_model(tmp_path / "translator", tmp_path / "out.pt", "nvidia")


def translator(name, part="G", statistics=True):
    """State dict of a fixture, with or without running statistics."""
    state = fill.load(f"tests/parity/{name}").state(part)
    dropped = () if statistics else ("running_", "stored_", "num_batches")
    kept = {k: v for k, v in state.items() if not any(mark in k for mark in dropped)}
    return {key: torch.from_numpy(np.array(value)) for key, value in kept.items()}


@pytest.mark.parametrize("name", ["stargan", "stargan_lut_dlim"])
@pytest.mark.parametrize("statistics", [True, False])
def test_imported_translators_translate_as_their_own_code(tmp_path, name, statistics):
    fixture = fill.load(f"tests/parity/{name}")
    torch.save(translator(name, statistics=statistics), tmp_path / "200000-G.ckpt")
    names = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young")
    card = import_model(tmp_path / "200000-G.ckpt", tmp_path / "model", labels=names)
    assert (card["kind"], card["architecture"]) == ("translator", "stargan")
    assert card["input"] == {"size": 128, "frame": "celeba", "range": [-1, 1]}
    model = open_translator(tmp_path / "model")
    assert model.names == names
    model.size = 64  # the fixture's faces; no file tells the size
    made = model.translate(fixture.input("x"), fixture.input("c"))
    worst, passes = fixture.check("G_train", made)
    assert passes, worst


def test_translators_say_which_labels_and_tensors_do_not_fit(tmp_path, ours):
    torch.save(translator("stargan"), tmp_path / "G.ckpt")
    with pytest.raises(BadInput, match="5 labels, not Male, Young"):
        import_model(tmp_path / "G.ckpt", tmp_path / "model", labels=("Male", "Young"))
    saved(tmp_path / "file", "rosinality", ours)
    with pytest.raises(BadInput, match="space, which has no labels"):
        import_model(tmp_path / "file", tmp_path / "model", labels=("Male",))
    assert not (tmp_path / "model").exists()
    state = translator("stargan")
    del state["main.9.main.3.weight"]
    torch.save(state, tmp_path / "G.ckpt")
    with pytest.raises(BadModel, match=r"lacks main\.9\.main\.3\.weight"):
        import_model(tmp_path / "G.ckpt", tmp_path / "model")


def test_discriminators_of_translators_keep_their_keys(tmp_path):
    torch.save(translator("stargan", "D"), tmp_path / "D.ckpt")
    card = import_model(tmp_path / "D.ckpt", tmp_path / "model")
    assert card["options"] == {"size": 64, "width": 32, "depth": 4, "labels": 5}
    state = fill.load("tests/parity/stargan").state("D")
    equal(load_model(tmp_path / "model")[0], state)


def test_licences_come_from_the_catalogue_or_the_user(tmp_path, ours, monkeypatch):
    path = saved(tmp_path / "file", "rosinality", ours)
    assert "not known" in import_model(path, tmp_path / "a")["licence"]
    assert import_model(path, tmp_path / "b", licence="MIT")["licence"] == "MIT"
    entry = catalogue.find_entry("rosinality-ffhq-256")
    monkeypatch.setattr(_folder, "entry_of", lambda _: entry)
    assert import_model(path, tmp_path / "c")["licence"] == entry.licence


@pytest.mark.parametrize(
    ("key", "shape", "named"),
    [
        ("convs.1.conv.weight", (1, 16, 8, 3, 3), "convs.1.conv.weight"),
        ("style.2.weight", (12, 13), "style.2.weight"),
        ("noises.noise_1", (1, 1, 9, 8), "noises.noise_1"),
        ("input.input", None, "input.input"),
        ("extra.weight", (2,), "extra.weight"),
        ("latent_avg", (13,), "latent_avg"),
    ],
)
def test_tensors_of_another_shape_are_named(tmp_path, ours, key, shape, named):
    theirs = dict(rosinality.generator_from_ours(ours, SHAPE))
    held = {k: torch.from_numpy(v) for k, v in theirs.items()}
    average = torch.zeros(13 if key == "latent_avg" else 12)
    if shape is None:
        del held[key]
    elif key != "latent_avg":
        held[key] = torch.zeros(shape)
    torch.save({"g_ema": held, "latent_avg": average}, tmp_path / "a.pt")
    with pytest.raises(BadModel, match=re.escape(named)) as caught:
        import_model(tmp_path / "a.pt", tmp_path / "model")
    assert str(caught.value).startswith(str(tmp_path / "a.pt"))
    assert not (tmp_path / "model").exists()


def test_folders_and_files_that_do_not_fit(tmp_path, ours):
    path = saved(tmp_path / "file", "rosinality", ours)
    import_model(path, tmp_path / "model")
    with pytest.raises(BadInput, match="holds a model already"):
        import_model(path, tmp_path / "model")
    np.save(tmp_path / "a.npy", np.ones((1, 8)))
    with pytest.raises(BadInput, match="holds directions"):
        import_model(tmp_path / "a.npy", tmp_path / "other")
    fakes.tensorflow_pickle(
        tmp_path / "b.pkl", {"4x4/Dense/weight": np.ones((2, 2)), "ToRGB_lod0/weight": np.ones(1)}
    )
    with pytest.raises(BadModel, match=r"b\.pkl holds 4x4/Dense/weight of shape \[2, 2\]"):
        import_model(tmp_path / "b.pkl", tmp_path / "other")


def test_every_kind_is_a_direction_or_converted():
    assert set(_folder.CONVERTERS) | DIRECTIONS == set(Kind)
    assert not DIRECTIONS & set(_folder.CONVERTERS)

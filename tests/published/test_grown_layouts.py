"""Conversions of PGGAN and StyleGAN: exact both ways, and refusals that name the key."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mien.errors import BadModel, UnknownName
from mien.generators import pggan, stylegan
from mien.published import _grown, _grown_tf, _pggan, _stylegan
from mien.published._values import Refused
from tests.generators.test_pggan import draw, scattered
from tests.parity import fill

LAYOUTS = {"pggan": _pggan, "stylegan": _stylegan}
GROWN = pggan.Architecture(size=32, base=256, most=24, latent=12)
STYLED = stylegan.Architecture(size=32, base=256, most=24, latent=12, layers=2, z=10, hidden=8)


def arrays(module):
    return {key: value.numpy().copy() for key, value in module.state_dict().items()}


@pytest.mark.parametrize("module", ["G", "Gf"])
@pytest.mark.parametrize(
    "name", ["pggan_interfacegan", "pggan_sefa", "stylegan_interfacegan", "stylegan_sefa"]
)
def test_originals_come_back(name, module):
    data = fill.load(f"tests/parity/{name}_generator")
    theirs, args = data.state(module), data.manifest["modules"][module]["args"]
    family, _, source = name.partition("_")
    layout = "genforce" if source == "sefa" else source
    ours, shape = LAYOUTS[family].generator_to_ours(theirs, args)
    assert shape.size == args["resolution"]
    back = LAYOUTS[family].generator_from_ours(ours, shape, layout, args["fused_scale"])
    assert back.keys() == theirs.keys()
    for key, value in theirs.items():
        assert back[key].shape == value.shape, key
        np.testing.assert_allclose(back[key], value, rtol=1e-6, err_msg=key)  # biases / sqrt(2)


@torch.no_grad()
@pytest.mark.parametrize("layout", ["genforce", "interfacegan"])
@pytest.mark.parametrize("fused", [False, True])
def test_pggan_through_each_layout(layout, fused):
    generator = scattered(pggan.Generator(GROWN))
    generator.lod.fill_(1)
    z = draw(2, 12)
    theirs = _pggan.generator_from_ours(arrays(generator), GROWN, layout, fused)
    again = _pggan.open_generator(theirs)  # a layer changes its width, which shows what is fused
    torch.testing.assert_close(again(z), generator(z))
    assert float(again.lod) == 1
    assert again.shape.fade == (layout == "genforce")


@torch.no_grad()
@pytest.mark.parametrize("layout", ["genforce", "interfacegan"])
@pytest.mark.parametrize("fused", [False, True, "auto"])
def test_stylegan_through_each_layout(layout, fused):
    generator = scattered(stylegan.Generator(STYLED))
    generator.truncation.copy_(
        torch.linspace(0, 1, 8) if layout == "interfacegan" else torch.ones(8)
    )
    z = draw(2, 10)
    theirs = _stylegan.generator_from_ours(arrays(generator), STYLED, layout, fused)
    again = _stylegan.open_generator(theirs, {"fused_scale": fused})
    want = generator(z, noise="stored")
    torch.testing.assert_close(again(z, noise="stored"), want, rtol=1e-4, atol=1e-4)


def test_auto_fuses_from_128_px():
    shape = stylegan.Architecture(128, 256, 8, 4, 1)
    tensors = arrays(stylegan.Generator(shape))
    plain = _stylegan.generator_from_ours(tensors, shape, fused=False)
    auto = _stylegan.generator_from_ours(tensors, shape)
    differ = [key for key in plain if not np.array_equal(plain[key], auto[key])]
    assert differ == ["synthesis.layer10.weight"]


@torch.no_grad()
def test_a_fused_layer_is_a_transposed_convolution():
    generator = scattered(pggan.Generator(GROWN))
    theirs = _pggan.generator_from_ours(arrays(generator), GROWN, "genforce", True)
    weight = torch.from_numpy(theirs["layer2.weight"]) * np.sqrt(2 / (9 * 24))
    weight = F.pad(weight, (1, 1, 1, 1))
    weight = (
        weight[..., 1:, 1:] + weight[..., :-1, 1:] + weight[..., 1:, :-1] + weight[..., :-1, :-1]
    )
    x = draw(1, 24, 4, 4)
    x = x / x.square().mean(1, keepdim=True).sqrt()
    bias = torch.from_numpy(theirs["layer2.bias"])
    want = F.leaky_relu(F.conv_transpose2d(x, weight, bias, stride=2, padding=1), 0.2)
    torch.testing.assert_close(generator.layers[2](x), want, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_options_that_tensors_do_not_show():
    conditional = pggan.Architecture(8, 128, 16, 12, labels=3, squash="tanh")
    generator = scattered(pggan.Generator(conditional))
    theirs = _pggan.generator_from_ours(arrays(generator), conditional)
    args = {"label_size": 3, "final_tanh": True}
    assert _pggan.open_generator(theirs, args).shape == conditional
    labelled = stylegan.Architecture(8, 128, 16, 12, 2, z=12, hidden=12, labels=3)
    network = scattered(stylegan.Generator(labelled))
    network.mapping.embed.bias.zero_()
    network.truncation.fill_(1)
    theirs = _stylegan.generator_from_ours(arrays(network), labelled)
    assert theirs["mapping.label_weight"].shape == (3, 12)
    z, labels = draw(2, 12), torch.eye(3)[1:]
    again = _stylegan.open_generator(theirs)
    want = network(z, noise="stored", labels=labels)
    torch.testing.assert_close(again(z, noise="stored", labels=labels), want, rtol=1e-4, atol=1e-4)


def test_truncation_of_a_file_without_factors_is_an_option():
    theirs = _stylegan.generator_from_ours(
        arrays(scattered(stylegan.Generator(STYLED))), STYLED, "interfacegan"
    )
    del theirs["truncation.truncation"]
    ours, _ = _stylegan.generator_to_ours(theirs)
    assert (ours["truncation"] == 1).all()
    ours, _ = _stylegan.generator_to_ours(theirs, {"truncation_psi": 0.5, "truncation_layers": 3})
    assert ours["truncation"].tolist() == [0.5] * 3 + [1] * 5


@torch.no_grad()
@pytest.mark.parametrize(
    ("critic", "args"),
    [
        (pggan.Critic(group=16), {}),
        (pggan.Critic(early=True, labels=2, group=16), {"fused_scale": True}),
        (pggan.Critic(smooth=True), {}),
        (pggan.Critic(smooth=True, labels=3), {}),
    ],
)  # fmt: skip
def test_discriminators_come_back(critic, args):
    sizes = {"size": 16, "base": 128, "most": 24}
    network = scattered(pggan.Discriminator(pggan.Architecture(**sizes), critic))
    theirs = _grown.discriminator_from_ours(arrays(network), pggan.Architecture(**sizes), critic)
    assert {"input0.weight", "input2.bias", "layer5.weight", "layer6.bias", "lod"} <= theirs.keys()
    again = _grown.open_discriminator(theirs, args)
    assert again.critic == critic
    faces, labels = draw(4, 3, 16, 16), torch.eye(3)[[0, 1, 2, 0]]
    labels = labels if critic.smooth and critic.labels else None
    torch.testing.assert_close(again(faces, labels=labels), network(faces, labels=labels))


@pytest.mark.parametrize("family", LAYOUTS)
def test_wrong_files_are_refused_by_key(family):
    layout = LAYOUTS[family]
    module, shape = {"pggan": (pggan, GROWN), "stylegan": (stylegan, STYLED)}[family]
    theirs = layout.generator_from_ours(arrays(module.Generator(shape)), shape)
    place = "synthesis." if family == "stylegan" else ""
    weight = f"{place}layer3.weight"
    short = {key: value for key, value in theirs.items() if key != weight}
    with pytest.raises(BadModel, match=rf"lacks {place}layer3\.weight"):
        layout.generator_to_ours(short)
    with pytest.raises(BadModel, match=r"unexpected key extra of shape \[2\]"):
        layout.generator_to_ours({**theirs, "extra": np.zeros(2)})
    with pytest.raises(BadModel, match=r"layer3\.weight .* shape \[7\], expected \[24, 24, 3, 3\]"):
        layout.generator_to_ours({**theirs, weight: np.zeros(7)})
    with pytest.raises(BadModel, match="output0"):
        layout.generator_to_ours({})
    with pytest.raises(BadModel, match="channels"):
        layout.generator_to_ours({**theirs, f"{place}layer2.bias": np.zeros(25)})
    with pytest.raises(UnknownName, match="layout"):
        layout.generator_from_ours({}, shape, "rosinality")


def as_tensorflow(value):
    """OIHW -> HWIO, [O, I] -> [I, O]."""
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T


def tensorflow_names(theirs, levels):
    """A genforce state dict under TensorFlow's names, as the originals' own tables pair them."""
    kinds = {0: "Const", 1: "Conv"}
    parts = {
        "weight": "weight", "bias": "bias", "const": "const", "apply_noise.weight": "Noise/weight",
        "style.weight": "StyleMod/weight", "style.bias": "StyleMod/bias",
    }  # fmt: skip
    named = {}
    for key, value in theirs.items():
        place, _, part = key.removeprefix("synthesis.").partition(".")
        if place.startswith("output"):
            level = levels - 1 - int(place[6:])
            named[f"synthesis.ToRGB_lod{level}/{part}"] = as_tensorflow(value)
        elif part == "apply_noise.noise":
            named[f"synthesis.noise{place[5:]}"] = value
        elif place.startswith("layer") and "blur" not in part:
            number = int(place[5:])
            px = 4 << number // 2
            kind = kinds.get(number) or ("Conv1" if number % 2 else "Conv0_up")
            turned = value if part == "const" else as_tensorflow(value)
            named[f"synthesis.{px}x{px}/{kind}/{parts[part]}"] = turned
        elif key.startswith("mapping.dense"):
            dense, _, part = key.removeprefix("mapping.dense").partition(".")
            named[f"mapping.Dense{dense}/{part}"] = as_tensorflow(value)
    return {**named, "dlatent_avg": theirs["truncation.w_avg"], "lod": theirs["synthesis.lod"]}


def test_tensorflow_stylegan_takes_genforces_names():
    shape = stylegan.Architecture(128, 512, 16, 12, 2, z=12, hidden=12)
    theirs = _stylegan.generator_from_ours(arrays(scattered(stylegan.Generator(shape))), shape)
    named = tensorflow_names(theirs, 6)
    assert named["synthesis.8x8/Conv0_up/weight"].shape == (3, 3, 16, 16)
    got, _ = _grown_tf.stylegan_to_genforce(named, {})
    assert got.keys() == theirs.keys()
    for key, value in theirs.items():
        np.testing.assert_array_equal(got[key], value, err_msg=key)
    with pytest.raises(Refused, match="holds the variable 4x4/Conv/mod_weight"):
        _grown_tf.stylegan_to_genforce({"synthesis.4x4/Conv/mod_weight": np.zeros(1)}, {})


@torch.no_grad()
def test_tensorflow_pggan_takes_genforces_names():
    generator = scattered(pggan.Generator(GROWN))
    theirs = _pggan.generator_from_ours(arrays(generator), GROWN)
    named = {"lod": theirs["lod"]}
    dense = generator.layers[0].weight.view(4, 4, 24, 12).permute(3, 2, 0, 1).reshape(12, -1)
    named |= {"4x4/Dense/weight": dense.numpy(), "4x4/Dense/bias": theirs["layer0.bias"]}
    for number in range(1, 8):
        px, kind = 4 << number // 2, "Conv" if number == 1 else f"Conv{number % 2}"
        for part in ("weight", "bias"):
            named[f"{px}x{px}/{kind}/{part}"] = as_tensorflow(theirs[f"layer{number}.{part}"])
    for level in range(4):
        for part in ("weight", "bias"):
            named[f"ToRGB_lod{level}/{part}"] = as_tensorflow(theirs[f"output{3 - level}.{part}"])
    again = _pggan.open_generator(*_grown_tf.pggan_to_genforce(named, {}))
    torch.testing.assert_close(again(draw(1, 12)), generator(draw(1, 12)))

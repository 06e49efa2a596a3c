"""Conversions of StyleGAN2 between layouts: exact both ways, and refusals that name the key."""

import numpy as np
import pytest
import torch

from mien.errors import BadModel
from mien.generators.stylegan2 import Architecture, Critic, Discriminator, Generator
from mien.published import genforce, nvidia, rosinality
from tests.parity import fill

LAYOUTS = {"rosinality": rosinality, "nvidia": nvidia, "genforce": genforce}
ORIGINALS = {  # rosinality's, being large, come back where their pictures are compared
    "nvidia": (nvidia, "ada_generator", "G", "generator"),
    "nvidia-discriminator": (nvidia, "ada_discriminator", "D", "discriminator"),
    "genforce": (genforce, "sefa_generator", "G", "generator"),
    "genforce-origin": (genforce, "sefa_generator", "Go", "generator"),
}


def arrays(module):
    return {key: value.numpy().copy() for key, value in module.state_dict().items()}


def scattered(module):
    """Every parameter and buffer random, biases and strengths included."""
    random = torch.Generator().manual_seed(0)
    for value in module.state_dict().values():
        value.copy_(torch.randn(value.shape, generator=random))
    return module.eval()


def small_generator(**options):
    return scattered(Generator(Architecture(16, 12, 2, 128, 16, **options)))


def small_discriminator(critic=None, **options):
    return scattered(Discriminator(Architecture(16, 12, 2, 128, 16, **options), critic))


def check_round_trip(layout, theirs, kind, *options):
    """Every key and value of an original state dict comes back."""
    ours = getattr(layout, f"{kind}_to_ours")(theirs, *options)
    back = getattr(layout, f"{kind}_from_ours")(*ours)
    assert back.keys() == theirs.keys()
    for key, value in theirs.items():
        assert back[key].shape == value.shape, key
        assert np.abs(back[key] - value).max() < 1e-6, key  # adding 1 and taking it away rounds


@pytest.mark.parametrize("case", ORIGINALS)
def test_originals_come_back(case):
    layout, name, module, kind = ORIGINALS[case]
    check_round_trip(layout, fill.load(f"tests/parity/stylegan2_{name}").state(module), kind)


@torch.no_grad()
def test_a_generator_paints_the_same_through_every_layout():
    generator = small_generator()
    z = torch.randn(2, 12, generator=torch.Generator().manual_seed(1))
    want = generator(z, 0.6, noise="stored").numpy()
    tensors, average = arrays(generator), generator.average.numpy()
    through = {
        "rosinality": {"average": np.tile(average, (6, 1))},  # as pSp stores it
        "nvidia": {},
        "genforce": {},
    }
    for name, options in through.items():
        layout = LAYOUTS[name]
        theirs = layout.generator_from_ours(tensors, generator.shape)
        again = layout.open_generator(theirs, **options)
        assert again.shape == generator.shape
        got = again(z, 0.6, noise="stored").numpy()
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5, err_msg=name)


@torch.no_grad()
def test_genforce_differs_by_a_flip_and_an_offset():
    generator = small_generator()
    z = torch.randn(1, 12, generator=torch.Generator().manual_seed(1))
    want = generator(z, noise="stored").numpy()
    theirs = genforce.generator_from_ours(arrays(generator), generator.shape)
    wrong = {
        "synthesis.layer1.weight": theirs["synthesis.layer1.weight"][:, :, ::-1, ::-1],
        "synthesis.layer2.style.bias": theirs["synthesis.layer2.style.bias"] + 1,
    }
    for key, value in wrong.items():
        got = genforce.open_generator(theirs | {key: np.ascontiguousarray(value)})
        assert np.abs(got(z, noise="stored").numpy() - want).max() > 0.1, key


@torch.no_grad()
@pytest.mark.parametrize("form", ["skip", "resnet", "orig"])
def test_nvidias_forms_labels_and_options(form):
    options = {"form": form, "labels": 3, "clamp": 2.0, "noise": False}
    generator = small_generator(**options)
    theirs = nvidia.generator_from_ours(arrays(generator), generator.shape)
    again = nvidia.open_generator(theirs, {"synthesis_kwargs": {"conv_clamp": 2.0}})
    assert again.shape == generator.shape
    z, labels = torch.randn(2, 12), torch.eye(3)[:2]
    torch.testing.assert_close(again(z, labels=labels), generator(z, labels=labels))


@torch.no_grad()
def test_labels_of_genforce():
    generator = small_generator(labels=3, joint=True)
    generator.mapping.embed.bias.zero_()
    theirs = genforce.generator_from_ours(arrays(generator), generator.shape)
    again = genforce.open_generator(theirs)
    z, labels = torch.randn(2, 12), torch.eye(3)[:2]
    torch.testing.assert_close(again.styles(z, labels=labels), generator.styles(z, labels=labels))
    embedded = labels.numpy() @ theirs["mapping.label_weight"]  # the original's equation
    torch.testing.assert_close(again.mapping.embed(labels), torch.from_numpy(embedded))


@torch.no_grad()
@pytest.mark.parametrize("form", ["skip", "resnet", "orig"])
@pytest.mark.parametrize("layout", ["nvidia", "genforce"])
def test_discriminators_of_every_form(layout, form):
    critic = Critic(form, mapping=2 if layout == "nvidia" else 0, mapped=5)
    if layout == "genforce":
        critic = Critic(form, hidden=7)
    discriminator = small_discriminator(critic, labels=3)
    room = LAYOUTS[layout]
    theirs = room.discriminator_from_ours(
        arrays(discriminator), discriminator.shape, discriminator.critic
    )
    again = room.open_discriminator(theirs)
    faces, labels = torch.randn(4, 3, 16, 16), torch.eye(3)[[0, 1, 2, 0]]
    torch.testing.assert_close(again(faces, labels), discriminator(faces, labels))


def test_files_without_noise_maps_paint_the_same_each_time():
    theirs = rosinality.generator_from_ours(arrays(small_generator()), small_generator().shape)
    old = {key: value for key, value in theirs.items() if not key.startswith("noises.")}
    first, second = (rosinality.generator_to_ours(old)[0] for _ in range(2))
    assert first["synthesis.layers.4.noise"].shape == (16, 16)
    np.testing.assert_array_equal(
        first["synthesis.layers.4.noise"], second["synthesis.layers.4.noise"]
    )
    assert np.unique(first["synthesis.layers.4.noise"]).size == 256


def test_channel_widths_outside_the_rule_are_kept():
    generator = scattered(Generator(Architecture(16, 12, 2, widths=(16, 12, 13))))
    theirs = rosinality.generator_from_ours(arrays(generator), generator.shape)
    assert rosinality.generator_to_ours(theirs)[1].channels == [16, 12, 13]


def broken(theirs, change):
    kind, key = change
    if kind == "lacks":
        return {k: v for k, v in theirs.items() if k != key}
    if kind == "more":
        return theirs | {key: np.zeros((2, 3), np.float32)}
    return theirs | {key: np.zeros((5, 7), np.float32)}


@pytest.mark.parametrize(
    ("layout", "change", "message"),
    [
        ("rosinality", ("lacks", "convs.3.conv.weight"), r"lacks convs\.3\.conv\.weight"),
        ("rosinality", ("lacks", "convs.2.activate.bias"), r"lacks convs\.2\.activate\.bias"),
        ("rosinality", ("more", "encoder.fc"), r"unexpected key encoder\.fc of shape \[2, 3\]"),
        ("rosinality", ("bad", "convs.3.conv.weight"), r"expected \[1, 8, 8, 3, 3\]"),
        ("nvidia", ("lacks", "mapping.w_avg"), r"lacks mapping\.w_avg"),
        ("nvidia", ("lacks", "synthesis.b4.conv1.bias"), r"lacks synthesis\.b4\.conv1\.bias"),
        ("nvidia", ("bad", "synthesis.b8.torgb.weight"), r"expected \[3, 16, 1, 1\]"),
        ("nvidia", ("bad", "synthesis.b16.resample_filter"), "not a separable filter"),
        ("genforce", ("lacks", "synthesis.layer2.noise"), r"lacks synthesis\.layer2\.noise"),
        ("genforce", ("more", "synthesis.layer9.bias"), r"unexpected key synthesis\.layer9\.bias"),
        ("genforce", ("bad", "truncation.w_avg"), r"shape \[5, 7\], expected \[12\]"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(layout, change, message):
    room, generator = LAYOUTS[layout], small_generator()
    theirs = room.generator_from_ours(arrays(generator), generator.shape)
    with pytest.raises(BadModel, match=message):
        room.generator_to_ours(broken(theirs, change))


def test_what_a_layout_cannot_hold_is_refused():
    resnet, mapped = (
        small_generator(form="resnet"),
        small_discriminator(Critic(mapping=2), labels=3),
    )
    for layout in (rosinality, genforce):
        with pytest.raises(BadModel, match="layout"):
            layout.generator_from_ours(arrays(resnet), resnet.shape)
        with pytest.raises(BadModel, match="layout"):
            layout.discriminator_from_ours(arrays(mapped), mapped.shape, mapped.critic)
    theirs = nvidia.generator_from_ours(arrays(resnet), resnet.shape)
    with pytest.raises(BadModel, match="'relu'"):
        nvidia.generator_to_ours(theirs, {"mapping_kwargs": {"activation": "relu"}})

"""StyleGAN2's networks against numbers recorded from the originals and against the equations."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mien.checkpoint import save_model
from mien.errors import BadInput, BadModel, SpaceMismatch
from mien.generators import open_space
from mien.generators.stylegan2 import Architecture, Discriminator, Generator, mix
from mien.published import genforce, nvidia, rosinality
from mien.runtime.precision import precision
from mien.types import Latent
from tests.generators.families import (
    card_of,
    check_opens_to_the_same_faces,
    check_truncation,
    saved,
)
from tests.parity import fill
from tests.published.test_stylegan2_layouts import check_round_trip

PARITY = "tests/parity/stylegan2_"
SMALL = Architecture(size=16, latent=24, layers=2, base=256, most=32)


def fixture(name):
    return fill.load(PARITY + name)


def check(loaded, name, got):
    worst, passes = loaded.check(name, got.detach().numpy())
    assert passes, f"{name}: {worst}"


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    generator = Generator(SMALL).eval()
    for name, value in generator.named_parameters():
        if name.endswith(("strength", "bias")):
            torch.nn.init.normal_(value, std=0.5)
    generator.average.normal_()
    return generator


@torch.no_grad()
def test_nvidia_generator():
    data = fixture("ada_generator")
    module, config = data.manifest["modules"]["G"], data.manifest["config"]
    generator = nvidia.open_generator(data.state("G"), module["args"])
    z, psi, cutoff = torch.from_numpy(data.input("z")), config["psi"], config["cutoff"]
    styles = generator.styles(z)
    check(data, "ws", styles[:, 0])
    check(data, "ws_trunc", generator.styles(z, psi)[:, 1])
    check(data, "ws_trunc_cutoff", generator.styles(z, psi, cutoff))
    levels = list(generator.synthesis.trace(styles))
    check(data, "b4_x", levels[0][0])
    check(data, "b8_x", levels[1][0])
    check(data, "b8_img", levels[1][1])
    check(data, "img", levels[-1][1])
    check(data, "img_trunc", generator(z, psi, cutoff, noise="stored"))
    check(data, "img_nonoise", generator(z, noise="none"))
    of_rows = generator.synthesis(torch.from_numpy(data.input("wplus")))
    check(data, "img_wplus", of_rows)
    check(data, "img_unfused", of_rows)


@torch.no_grad()
def test_rosinality_generator():
    data = fixture("rosinality_generator")
    config = data.manifest["config"]
    theirs = data.state("G")
    check_round_trip(rosinality, theirs, "generator")
    generator = rosinality.open_generator(theirs, data.input("mean_latent"))
    z, z2 = (torch.from_numpy(data.input(name)) for name in ("z", "z2"))
    check(data, "w", generator.mapping(z))
    wplus = torch.from_numpy(data.input("wplus"))
    levels = list(generator.synthesis.trace(wplus))
    check(data, "img_wplus", levels[-1][1])
    check(data, "feat_last", levels[-1][0])
    check(data, "conv1_4x4", levels[0][0])
    check(data, "rgb_4x4", levels[0][1])
    second = generator.synthesis.layers[1]
    check(data, "style_convs0", second.conv.style(wplus[:, 1]))
    check(data, "convs0_8x8", second(levels[0][0], wplus[:, 1], "stored"))
    truncated = generator.styles(z, config["psi"])
    check(data, "lat_trunc", truncated)
    check(data, "img_trunc", generator.synthesis(truncated))
    mixed = mix(generator.styles(z), generator.styles(z2), config["inject"])
    check(data, "lat_mix", mixed)
    check(data, "img_mix", generator.synthesis(mixed))
    maps = [layer.noise[None, None] / 2 for layer in generator.synthesis.layers]
    check(data, "img_half_noise", generator.synthesis(generator.styles(z), maps))


@torch.no_grad()
@pytest.mark.parametrize("module", ["G", "Gu", "Go"])
def test_genforce_generator(module):
    data = fixture("sefa_generator")
    config = data.manifest["config"]
    generator = genforce.open_generator(data.state(module))
    z, wp = (torch.from_numpy(data.input(name)) for name in ("z", "wp"))
    truncated = generator.styles(z, config["psi"], config["tl"])
    first = generator.synthesis.layers[1]
    features, _ = next(generator.synthesis.trace(wp))
    check(data, f"{module}.w", generator.mapping(z))
    check(data, f"{module}.wp_trunc", truncated)
    check(data, f"{module}.image_wp", generator.synthesis(wp))
    check(data, f"{module}.style01", first.conv.style(wp[:, 1]))
    check(data, f"{module}.layer1", first(features, wp[:, 1], "stored"))
    check(data, f"{module}.image", generator.synthesis(truncated))


def test_nvidia_discriminator():
    data = fixture("ada_discriminator")
    module = data.manifest["modules"]["D"]
    discriminator = nvidia.open_discriminator(data.state("D"), module["args"])
    faces = torch.from_numpy(data.input("img")).requires_grad_()
    blocks = []
    discriminator.blocks[0].register_forward_hook(lambda *call: blocks.append(call[2]))
    logits = discriminator(faces)
    check(data, "logits", logits)
    check(data, "first_block", blocks[0])
    check(data, "input_grad", torch.autograd.grad(logits.sum(), faces)[0])


def test_rosinality_discriminator():
    data = fixture("rosinality_discriminator")
    theirs = data.state("D")
    check_round_trip(rosinality, theirs, "discriminator")
    discriminator = rosinality.open_discriminator(theirs)
    faces = torch.from_numpy(data.input("img")).requires_grad_()
    real, fake = discriminator(faces), discriminator(torch.from_numpy(data.input("fake")))
    slope = torch.autograd.grad(real.sum(), faces, create_graph=True)[0]
    penalty = slope.square().sum((1, 2, 3)).mean()
    first = discriminator.colours[0].weight
    check(data, "logits", real)
    check(data, "logits_fake", fake)
    check(data, "convs_out", discriminator.features(faces))
    check(data, "input_grad", slope)
    check(data, "r1", penalty)
    check(data, "r1_grad_first_conv", torch.autograd.grad(penalty, first, retain_graph=True)[0])
    check(data, "d_logistic", F.softplus(-real).mean() + F.softplus(fake).mean())
    check(data, "g_nonsat", F.softplus(-fake).mean())


@torch.no_grad()
def test_a_saved_generator_opens_to_the_same_faces(small, tmp_path):
    check_opens_to_the_same_faces(small, "stylegan2", 24, tmp_path / "small")


def test_truncation_of_card_and_call_multiply(small, tmp_path):
    check_truncation(small, "stylegan2", tmp_path)


def test_the_space_refuses_what_it_cannot_do(small, tmp_path):
    space = saved(small, "stylegan2", tmp_path / "small")
    with pytest.raises(BadInput, match="inverter"):
        space.encode(np.zeros((1, 3, 16, 16), np.float32))
    with pytest.raises(SpaceMismatch, match="encode or fit it again"):
        space.decode(Latent(np.zeros((1, 6, 24), np.float32), "w+", "other@00000000"))
    conditional = Generator(Architecture(16, 24, 2, 256, 32, labels=2))
    with pytest.raises(BadInput, match="conditional"):
        saved(conditional, "stylegan2", tmp_path / "labels")
    save_model(tmp_path / "bad", {"average": np.zeros(24, np.float32)}, card_of(small, "stylegan2"))
    with pytest.raises(BadModel, match="does not hold the network"):
        open_space(tmp_path / "bad")


def test_style_weights_lie_in_the_rows_that_they_read(small, tmp_path):
    space = saved(small, "stylegan2", tmp_path / "small")
    latent = space.sample(1, seed=0)
    weights = space.style_weights()
    assert [len(matrix) for matrix in weights] == [32, 32, 32, 32, 16, 16]
    network = space.network.synthesis
    for row, matrix in enumerate(weights):
        moved = latent.values.copy()
        moved[:, row] += np.linalg.svd(matrix)[2][0]
        layer = network.layers[row] if row < 5 else network.colours[-1]
        with torch.no_grad():
            before, after = (
                layer.conv.style(torch.from_numpy(values[:, row]))
                for values in (latent.values, moved)
            )
        largest = np.linalg.svd(matrix)[1][0] / np.sqrt(24)
        np.testing.assert_allclose((after - before).norm().item(), largest, rtol=1e-4)


def test_training_and_inference_agree(small):
    """Plain layers carry gradients; prepared ones must give the same faces."""
    z = torch.randn(3, 24, generator=torch.Generator().manual_seed(2))
    maps = [torch.randn(3, 1, n, n) for n in (4, 8, 8, 16, 16)]
    for noise in ("stored", "none", maps):
        plain = small(z, noise=noise)
        assert plain.requires_grad
        with torch.no_grad():
            torch.testing.assert_close(small(z, noise=noise), plain, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_random_noise_differs_for_each_face(small):
    z = torch.zeros(2, 24)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = small(z, noise="random")
    assert (first - second).abs().max() > 0.1
    same = small(z, noise="stored")
    torch.testing.assert_close(same[0], same[1])


def test_bf16_stays_close(tmp_path):
    torch.manual_seed(3)
    generator = Generator(Architecture(64, 32, 2, 2048, 64)).requires_grad_(False)
    for colour in generator.synthesis.colours:
        colour.conv.weight *= 0.2  # faces about [-1, 1]
    space = saved(generator, "stylegan2", tmp_path / "small")
    latent = space.sample(2, seed=0)
    exact = space.decode(latent)
    assert 0.2 < exact.std() < 0.8
    with precision("bf16"):
        rough = space.decode(latent)
    assert rough.dtype == np.float32
    assert 0 < np.mean((rough - exact) ** 2) < 4 * 10**-4  # PSNR above 40 dB


def test_second_derivatives_reach_every_weight():
    """R1 on the discriminator, path lengths on the generator (their appendix B)."""
    torch.manual_seed(0)
    discriminator = Discriminator(SMALL)
    faces = torch.randn(4, 3, 16, 16, requires_grad=True)
    slope = torch.autograd.grad(discriminator(faces).sum(), faces, create_graph=True)[0]
    slope.square().sum().backward()
    free = {
        "score.bias",
        "hidden.bias",
    }  # the slope does not depend on the last; steps on the other
    for name, value in discriminator.named_parameters():
        assert value.grad is not None or name in free, name
    generator = Generator(SMALL)
    styles = generator.styles(torch.randn(2, 24))
    painted = (generator.synthesis(styles, "none") * torch.randn(2, 3, 16, 16)).sum()
    path = torch.autograd.grad(painted, styles, create_graph=True)[0]
    path.square().sum().backward()
    for name, value in generator.synthesis.named_parameters():
        if not name.endswith(("strength", "colours.2.bias", "colours.1.bias", "colours.0.bias")):
            assert value.grad is not None, name
            assert value.grad.isfinite().all(), name


def test_r1_gradient_is_that_of_finite_differences():
    torch.manual_seed(0)
    discriminator = Discriminator(Architecture(8, 8, 1, 64, 8)).double()
    faces = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    weight = discriminator.blocks[0].second.weight

    def penalty():
        seen = faces.clone().requires_grad_()
        x = discriminator.features(seen).square().sum()  # smooth but for the rectifiers
        return torch.autograd.grad(x, seen, create_graph=True)[0].square().sum()

    want = torch.autograd.grad(penalty(), weight)[0][0, 0, 1, 1]
    ends = []
    for step in (1e-5, -1e-5):
        with torch.no_grad():
            weight[0, 0, 1, 1] += step
        ends.append(penalty().item())
        with torch.no_grad():
            weight[0, 0, 1, 1] -= step
    np.testing.assert_allclose((ends[0] - ends[1]) / 2e-5, want.item(), rtol=1e-4)


def test_the_largest_generator_has_the_originals_parameters():
    shape = Architecture(1024)
    assert shape.styles == 18
    assert shape.channels == [512, 512, 512, 512, 512, 256, 128, 64, 32]
    with torch.device("meta"):
        generator = Generator(shape)
    assert sum(value.numel() for value in generator.parameters()) == 30_370_060
    assert len(generator.state_dict()) == 156  # genforce's 165 keys without 9 filters


@torch.no_grad()
def test_the_smallest_size_paints_and_judges():
    shape = Architecture(8, 16, 1, 64, 16)
    faces = Generator(shape).eval()(torch.zeros(2, 16))
    assert faces.shape == (2, 3, 8, 8)
    assert Discriminator(shape)(faces).shape == (2, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"size": 48}, "power of two"), ({"size": 4}, "power of two"), ({"form": "round"}, "form is")],
)
def test_impossible_architectures_are_refused(options, message):
    with pytest.raises(BadInput, match=message):
        Architecture(**options)


@torch.no_grad()
def test_noise_and_labels_that_do_not_fit_are_refused(small):
    with pytest.raises(BadInput, match="4 noise maps, this model has 5"):
        small(torch.zeros(1, 24), noise=[torch.zeros(4, 4)] * 4)
    with pytest.raises(BadInput, match="noise is 'loud'"):
        small(torch.zeros(1, 24), noise="loud")
    conditional = Generator(Architecture(16, 24, 2, 256, 32, labels=2))
    with pytest.raises(BadInput, match="conditional"):
        conditional(torch.zeros(1, 24))


def test_the_average_is_estimated_from_samples():
    torch.manual_seed(0)
    generator = Generator(SMALL)
    generator.estimate_average(4000)
    with torch.no_grad():
        want = generator.mapping(torch.randn(4000, 24)).mean(0)
    np.testing.assert_allclose(generator.average.numpy(), want.numpy(), atol=0.15)
    assert generator.average.abs().max() > 0.3

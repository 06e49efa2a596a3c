"""StyleGAN's networks against numbers recorded from the originals and against the equations."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from benchmarks.style_families import stylegan_textbook

from mien.checkpoint import save_model
from mien.errors import BadInput, BadModel, SpaceMismatch
from mien.generators.layers import adain
from mien.generators.stylegan import (
    Architecture,
    Critic,
    Discriminator,
    Generator,
    mix,
    open_space,
)
from mien.published import _stylegan
from mien.runtime.precision import precision
from mien.types import Latent
from tests.generators.families import (
    card_of,
    check_opens_to_the_same_faces,
    check_recorded,
    check_truncation,
    saved,
)
from tests.generators.test_pggan import discriminator_textbook, draw, scattered
from tests.parity import fill

SMALL = Architecture(size=32, base=512, most=48, latent=20, layers=3, z=12, hidden=16)


@pytest.fixture(scope="module")
def small():
    generator = scattered(Generator(SMALL))
    generator.truncation.fill_(1)
    return generator


def record(network, layers, styles):
    """What the layers and style layers of that number give when called."""
    seen = {}

    def keep(part, key):
        part.register_forward_hook(lambda _, x, out: seen.__setitem__(key, out.clone()))

    for number in layers:
        keep(network.layers[number], f"layer{number}")
    for number in styles:
        keep(network.layers[number].style, f"style0{number}")
    return seen


@torch.no_grad()
@pytest.mark.parametrize("module", ["G", "Gf"])
@pytest.mark.parametrize("name", ["interfacegan", "sefa"])
def test_originals(name, module):
    data = fill.load(f"tests/parity/stylegan_{name}_generator")
    config, args = data.manifest["config"], data.manifest["modules"][module]["args"]
    generator = _stylegan.open_generator(data.state(module), args)
    z, wp = (torch.from_numpy(data.input(name)) for name in ("z", "wp"))
    truncated = generator.styles(z, config["psi"], config["tl"])
    inside = record(generator.synthesis, (0, 2), (0, 3))
    image = generator.synthesis(wp)
    seen = {**inside, "image_wp": image, "wp_trunc": truncated, "wp": truncated}
    seen["w"] = generator.mapping(z)
    for lod in config.get("lods", []):
        seen[f"image_lod{lod}"] = generator.synthesis(wp, lod=lod)
    seen["image"] = generator(z, config["psi"], config["tl"], noise="stored")
    if name == "interfacegan":  # the file holds its truncation
        torch.testing.assert_close(generator.styles(z), truncated)
    check_recorded(data, module, seen)


@torch.no_grad()
@pytest.mark.parametrize(("size", "most"), [(8, 24), (32, 7), (64, 128), (128, 3)])
def test_equations_at_other_sizes(size, most, monkeypatch):
    monkeypatch.setattr(adain, "BAND", 4000)  # bytes; several bands of unequal height
    network = scattered(Generator(Architecture(size, 128 * size, most, 12)), seed=size).synthesis
    styles = draw(2, network.shape.styles, 12)
    want = stylegan_textbook(network.state_dict(), styles)
    torch.testing.assert_close(network(styles), want, rtol=1e-3, atol=1e-3)


def test_with_and_without_gradients_alike(small):
    styles = draw(2, 8, 20).requires_grad_()
    with torch.inference_mode():
        plain = small.synthesis(styles)
    kept = small.synthesis(styles)
    torch.testing.assert_close(kept, plain, rtol=1e-4, atol=1e-4)
    small.requires_grad_(False)
    frozen = small.synthesis(styles)
    slopes = [torch.autograd.grad(out.square().sum(), styles)[0] for out in (kept, frozen)]
    small.requires_grad_(True)
    torch.testing.assert_close(*slopes)
    assert (slopes[0].abs().amax((0, 2)) > 0).all()  # every row of w+ is read


def test_normalisation_stands_large_means():
    wide = 1000 + draw(1, 4, 64, 64).double()
    wide[:, 3] = 7  # a map without spread
    styles = draw(1, 8)
    scale, shift = styles.double().view(1, 2, 4, 1, 1).unbind(1)
    want = F.instance_norm(wide, eps=adain.EPSILON) * (scale + 1) + shift
    with torch.no_grad():
        x = wide.float().contiguous(memory_format=torch.channels_last)
        got = adain.finish(x, None, torch.zeros(4), styles)
    torch.testing.assert_close(got.double(), want, rtol=1e-3, atol=2e-3)


@torch.no_grad()
def test_noise_stored_given_none_and_random(small):
    styles = draw(2, 8, 20)
    network = small.synthesis
    stored = network(styles)
    maps = [layer.noise[None, None] for layer in network.layers]
    torch.testing.assert_close(network(styles, maps), stored)
    torch.testing.assert_close(network(styles, [m.expand(2, -1, -1, -1) for m in maps]), stored)
    without = copy.deepcopy(network)
    for layer in without.layers:
        layer.strength.zero_()
    torch.testing.assert_close(network(styles, "none"), without(styles))
    twice = [network(styles, "random") for _ in range(2)]
    assert not torch.allclose(*twice)
    alike = network(styles[:1].expand(2, -1, -1), "random")
    assert not torch.allclose(alike[0], alike[1])  # each face has noise of its own
    for wrong, message in (("loud", '"stored"'), (maps[:3], "got 3 noise maps")):
        with pytest.raises(BadInput, match=message):
            network(styles, wrong)


@torch.no_grad()
def test_level_of_detail(small):
    styles, network = draw(2, 8, 20), small.synthesis
    whole, half, quarter = (network(styles, lod=lod) for lod in (0, 1, 2))
    torch.testing.assert_close(network(styles, lod=0.3), 0.7 * whole + 0.3 * half)
    torch.testing.assert_close(network(styles, lod=1.75), 0.25 * half + 0.75 * quarter)
    first = network.heads[2](list(network.trace(styles))[2])
    torch.testing.assert_close(half, first.repeat_interleave(2, 2).repeat_interleave(2, 3))
    with pytest.raises(BadInput, match="expected 0 to 3"):
        network(styles, lod=4)


@torch.no_grad()
def test_truncation_row_by_row(small):
    z = draw(2, 12)
    w, average = small.mapping(z), small.average
    near = small.styles(z, 0.5, 3)
    torch.testing.assert_close(
        near[:, :3], (average + 0.5 * (w - average))[:, None].expand(-1, 3, -1)
    )
    torch.testing.assert_close(near[:, 3:], w[:, None].expand(-1, 5, -1))
    factors = [0.1 * n for n in range(8)]
    rows = small.styles(z, factors)
    for n, factor in enumerate(factors):
        torch.testing.assert_close(rows[:, n], average + factor * (w - average))
    torch.testing.assert_close(small.styles(z, 0.0)[:, 7], average.expand(2, -1))


@torch.no_grad()
def test_mixing_takes_rows_of_both(small):
    first, second = small.styles(draw(1, 12)), small.styles(draw(1, 12, seed=2))
    mixed = mix(first, second, 3)
    torch.testing.assert_close(mixed[:, 2], first[:, 2])
    torch.testing.assert_close(mixed[:, 3], second[:, 3])
    coarse, fine = small.synthesis.trace(first), small.synthesis.trace(mixed)
    torch.testing.assert_close(next(coarse), next(fine))
    assert not torch.allclose(next(coarse), next(fine))


@torch.no_grad()
def test_labels_join_z():
    generator = scattered(Generator(Architecture(8, 128, 16, 12, 2, labels=3)))
    z, labels = draw(1, 12).repeat(2, 1), torch.eye(3)[:2]
    faces = generator(z, noise="stored", labels=labels)
    assert not torch.allclose(faces[0], faces[1])
    with pytest.raises(BadInput, match="labels"):
        generator(z)
    with pytest.raises(BadInput, match=r"expected \[N, 4, 12\]"):
        generator.synthesis(draw(1, 5, 12))


@torch.inference_mode()
def test_bf16_is_near():
    network = scattered(Generator(Architecture(64, 2048, 64, 32))).synthesis
    styles = draw(4, 10, 32)
    want = network(styles)
    with precision("bf16"):
        got = network(styles)
    peak = float(want.max() - want.min())
    assert 10 * math.log10(peak**2 / float((got - want).square().mean())) > 40


@torch.no_grad()
def test_discriminator_follows_the_equations():
    network = scattered(Discriminator(SMALL, Critic(smooth=True, group=2)))
    faces = draw(4, 3, 32, 32)
    want = discriminator_textbook(network, faces)
    torch.testing.assert_close(network(faces), want, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_discriminator_with_labels_takes_the_score_of_the_class():
    network = scattered(Discriminator(SMALL, Critic(smooth=True, labels=3)))
    faces = draw(2, 3, 32, 32)
    scores = [network(faces, labels=torch.eye(3)[[n, n]]) for n in range(3)]
    both = network(faces, labels=torch.tensor([[1.0, 0, 0], [0, 0, 1]]))
    torch.testing.assert_close(both, torch.stack([scores[0][0], scores[2][1]]))
    with pytest.raises(BadInput, match="labels"):
        network(faces)


@torch.no_grad()
def test_a_saved_generator_opens_to_the_same_faces(small, tmp_path):
    space = check_opens_to_the_same_faces(small, "stylegan", 12, tmp_path / "small")
    assert [matrix.shape for matrix in space.style_weights()][-1] == (2 * 16, 20)


def test_truncation_of_weights_card_and_call(small, tmp_path):
    whole = check_truncation(small, "stylegan", tmp_path)
    small.truncation.fill_(0.25)
    own = saved(small, "stylegan", tmp_path / "d").sample(2, seed=1).values
    small.truncation.fill_(1)
    average = small.average.numpy()
    np.testing.assert_allclose(own, average + 0.25 * (whole - average), rtol=1e-4, atol=1e-5)


def test_the_space_refuses_what_it_cannot_do(small, tmp_path):
    space = saved(small, "stylegan", tmp_path / "small")
    with pytest.raises(BadInput, match="inverter"):
        space.encode(np.zeros((1, 3, 32, 32), np.float32))
    with pytest.raises(SpaceMismatch, match="encode or fit it again"):
        space.decode(Latent(np.zeros((1, 8, 20), np.float32), "w+", "other@00000000"))
    with pytest.raises(BadInput, match="conditional"):
        saved(Generator(Architecture(8, 128, 16, 12, 2, labels=2)), "stylegan", tmp_path / "labels")
    save_model(tmp_path / "bad", {"average": np.zeros(20, np.float32)}, card_of(small, "stylegan"))
    with pytest.raises(BadModel, match="does not hold the network"):
        open_space(tmp_path / "bad")

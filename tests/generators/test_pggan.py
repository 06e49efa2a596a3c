"""PGGAN's networks against numbers recorded from the originals and against the equations."""

import copy
import math
import pickle
from dataclasses import asdict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from benchmarks.style_families import pggan_textbook, pixel_norm

from mien.checkpoint import save_model
from mien.errors import BadInput, BadModel, SpaceMismatch
from mien.generators.pggan import Architecture, Critic, Discriminator, Generator, open_space
from mien.published import _pggan
from mien.runtime.precision import precision
from mien.types import Latent
from tests.generators.families import card_of, check_recorded, saved
from tests.parity import fill

ROOT = math.sqrt(2)
SMALL = Architecture(size=32, base=512, most=48, latent=20)


def scattered(module, seed=0):
    """Every parameter and buffer random but the level of detail."""
    random = torch.Generator().manual_seed(seed)
    for key, value in module.state_dict().items():
        if not key.endswith("lod"):
            value.copy_(torch.randn(value.shape, generator=random))
    return module.eval()


@pytest.fixture(scope="module")
def small():
    return scattered(Generator(SMALL))


def draw(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
@pytest.mark.parametrize("module", ["G", "Gf"])
@pytest.mark.parametrize("name", ["interfacegan", "sefa"])
def test_originals(name, module):
    data = fill.load(f"tests/parity/pggan_{name}_generator")
    generator = _pggan.open_generator(data.state(module), data.manifest["modules"][module]["args"])
    z = torch.from_numpy(data.input("z"))
    seen = {"z": pixel_norm(z)}
    for number, key in ((1, "after_4x4"), (2, "layer2")):
        generator.layers[number].register_forward_hook(
            lambda layer, x, out, key=key: seen.__setitem__(key, out.clone())
        )
    seen["image"] = generator(z)
    for lod in data.manifest["config"].get("lods", [1.0]):
        name = f"image_lod{lod}" if f"{module}.image_lod{lod}" in data.manifest["outputs"] else None
        seen[name or "image_lod"] = generator(z, lod)
    check_recorded(data, module, seen)


@torch.no_grad()
@pytest.mark.parametrize(("size", "most"), [(8, 24), (16, 24), (32, 7), (64, 128)])
def test_equations_at_other_sizes(size, most):
    generator = scattered(Generator(Architecture(size, 128 * size, most, 12)), seed=size)
    z = draw(3, 12)
    want = pggan_textbook(generator.state_dict(), z)
    torch.testing.assert_close(generator(z), want, rtol=1e-4, atol=1e-4)


def test_with_and_without_gradients_alike(small):
    z = draw(2, 20).requires_grad_()
    with torch.inference_mode():
        plain = small(z)
    kept = small(z)
    torch.testing.assert_close(kept, plain, rtol=1e-5, atol=1e-5)
    small.requires_grad_(False)
    frozen = small(z)
    torch.testing.assert_close(frozen, plain, rtol=1e-5, atol=1e-5)
    slopes = [torch.autograd.grad(out.square().sum(), z)[0] for out in (kept, frozen)]
    small.requires_grad_(True)
    torch.testing.assert_close(*slopes)
    assert slopes[0].abs().max() > 0


@torch.no_grad()
def test_kernels_follow_their_weights(small):
    generator, z = copy.deepcopy(small), draw(1, 20)
    before = generator(z)
    generator.layers[2].conv.weight.mul_(1.5)
    after = generator(z)
    assert not torch.allclose(before, after)
    torch.testing.assert_close(
        after, pggan_textbook(generator.state_dict(), z), rtol=1e-4, atol=1e-4
    )
    generator.load_state_dict(small.state_dict())
    torch.testing.assert_close(generator(z), before)
    torch.testing.assert_close(pickle.loads(pickle.dumps(generator))(z), before)
    with torch.inference_mode():
        made = Generator(SMALL).eval()
        made.load_state_dict(small.state_dict())
        torch.testing.assert_close(made(z), before)
        made.load_state_dict(scattered(Generator(SMALL), seed=7).state_dict())
        assert not torch.allclose(made(z), before)


@torch.no_grad()
def test_length_of_z_does_not_matter(small):
    z = draw(2, 20)
    torch.testing.assert_close(small(z), small(7 * z), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_level_of_detail(small):
    z = draw(2, 20)
    whole, half, quarter = (small(z, lod) for lod in (0, 1, 2))
    for coarse, step in ((half, 2), (quarter, 4)):
        assert coarse.shape == whole.shape
        pooled = F.avg_pool2d(coarse, step)  # constant in each square
        torch.testing.assert_close(
            pooled.repeat_interleave(step, 2).repeat_interleave(step, 3), coarse
        )
    torch.testing.assert_close(small(z, 0.3), 0.7 * whole + 0.3 * half)
    torch.testing.assert_close(small(z, 1.75), 0.25 * half + 0.75 * quarter)
    smaller = Generator(Architecture(16, 512, 48, 20)).eval()
    kept = smaller.state_dict().keys()
    smaller.load_state_dict({k: v for k, v in small.state_dict().items() if k in kept})
    torch.testing.assert_close(half[:, :, ::2, ::2], smaller(z))
    small.lod.fill_(1)
    torch.testing.assert_close(small(z), half)
    small.lod.fill_(0)
    for wrong in (-0.1, 3.5):
        with pytest.raises(BadInput, match="expected 0 to 3"):
            small(z, wrong)


@torch.no_grad()
def test_without_fading_a_fraction_shows_the_coarser_level(small):
    stepped = Generator(Architecture(**{**asdict(SMALL), "fade": False})).eval()
    stepped.load_state_dict(small.state_dict())
    z = draw(1, 20)
    torch.testing.assert_close(stepped(z, 0.2), small(z, 1))


@torch.no_grad()
def test_options(small):
    z, labels = draw(2, 20), torch.eye(2)
    squashed = Generator(Architecture(**{**asdict(SMALL), "squash": "tanh"})).eval()
    squashed.load_state_dict(small.state_dict())
    torch.testing.assert_close(squashed(z), small(z).tanh())
    conditional = scattered(Generator(Architecture(16, 256, 16, 20, labels=2)))
    same = conditional(z[:1].repeat(2, 1), labels=labels)
    assert not torch.allclose(same[0], same[1])
    with pytest.raises(BadInput, match="labels"):
        conditional(z)
    with pytest.raises(BadInput, match=r"expected \[N, 20\]"):
        small(draw(2, 21))
    for wrong in ({"size": 24}, {"size": 4}, {"squash": "relu"}, {"base": 16, "size": 32}):
        with pytest.raises(BadInput, match="expected"):
            Architecture(**wrong)


@torch.inference_mode()
def test_bf16_is_near():
    generator = scattered(Generator(Architecture(64, 2048, 64, 32)))
    z = draw(4, 32)
    want = generator(z)
    with precision("bf16"):
        got = generator(z)
    peak = float(want.max() - want.min())
    assert 10 * math.log10(peak**2 / float((got - want).square().mean())) > 40


def discriminator_textbook(network, faces):
    """Table 2's right column at lod 0, step by step; StyleGAN's with blurs."""
    weights = network.state_dict()

    def dense(x, name, gain=ROOT):
        weight = weights[f"{name}.weight"]
        return x @ (weight * gain / math.sqrt(weight.shape[1])).t()

    def convolve(x, name):
        weight = weights[f"{name}.weight"]
        scaled = weight * math.sqrt(2 / weight[0].numel())
        return F.conv2d(x, scaled, weights[f"{name}.bias"], padding=weight.shape[2] // 2)

    x = F.leaky_relu(convolve(faces, "colours.0"), 0.2)
    for n in range(len(network.blocks)):
        x = F.leaky_relu(convolve(x, f"blocks.{n}.first"), 0.2)
        if network.critic.smooth:
            line = torch.tensor([1.0, 2, 1]) / 4
            kernel = torch.outer(line, line).expand(x.shape[1], 1, 3, 3)
            x = F.conv2d(x, kernel, padding=1, groups=x.shape[1])
        x = convolve(x, f"blocks.{n}.second")
        late = not (network.critic.smooth or network.critic.early)
        x = F.avg_pool2d(F.leaky_relu(x, 0.2), 2) if late else F.leaky_relu(F.avg_pool2d(x, 2), 0.2)
    groups = x.reshape(2, -1, *x.shape[1:])  # faces 0 and 2, faces 1 and 3
    spread = (groups.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3)).repeat(2)
    x = torch.cat([x, spread.view(-1, 1, 1, 1).expand(-1, 1, 4, 4)], 1)
    x = F.leaky_relu(convolve(x, "last"), 0.2).flatten(1)
    x = dense(x, "hidden") + ROOT * weights["hidden.bias"]  # which is stored divided by it
    x = F.leaky_relu(x, 0.2)
    return dense(x, "score", 1.0) + weights["score.bias"]


@torch.no_grad()
@pytest.mark.parametrize("critic", [Critic(group=2), Critic(early=True, group=2)])
def test_discriminator_follows_the_table(critic):
    network = scattered(Discriminator(SMALL, critic))
    faces = draw(4, 3, 32, 32)
    want = discriminator_textbook(network, faces)
    assert want.shape == (4, 1)
    torch.testing.assert_close(network(faces), want, rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("smooth", [False, True])
def test_discriminator_fades_between_two_sizes(smooth):
    network = scattered(Discriminator(SMALL, Critic(smooth=smooth)))
    faces = draw(4, 3, 32, 32)
    fine, coarse = network.features(faces, 0), network.features(faces, 1)
    assert fine.shape == coarse.shape == (4, 48, 4, 4)
    assert not torch.allclose(fine, coarse)
    smaller = Discriminator(Architecture(16, 512, 48, 20), Critic(smooth=smooth)).eval()
    shifted = {
        key.replace(f"{part}.{n + 1}.", f"{part}.{n}."): value
        for key, value in network.state_dict().items()
        for part in ("colours", "blocks")
        for n in range(3)
        if key.startswith(f"{part}.{n + 1}.")
    }
    rest = {
        k: v
        for k, v in network.state_dict().items()
        if k.split(".")[0] not in ("colours", "blocks")
    }
    smaller.load_state_dict(shifted | rest)
    halved = F.avg_pool2d(faces, 2)
    torch.testing.assert_close(network(faces, 1), smaller(halved))
    inside = []
    network.blocks[1].register_forward_pre_hook(lambda block, args: inside.append(args[0]))
    for lod in (0, 0.25):
        network.features(faces, lod)
    network.features(faces, 1)  # there the block reads the halved picture's colours alone
    torch.testing.assert_close(inside[1], 0.75 * inside[0] + 0.25 * inside[2])


def test_discriminator_learns():
    network = Discriminator(Architecture(16, 256, 16, 8))
    faces = draw(4, 3, 16, 16).requires_grad_()
    slope = torch.autograd.grad(network(faces, 0.5).sum(), faces, create_graph=True)[0]
    slope.square().sum().backward()
    grads = [colour.weight.grad for colour in network.colours]
    assert [grad is not None for grad in grads] == [True, True, False]  # 16 and 8 px are blended


def test_a_saved_generator_opens_to_the_same_faces(small, tmp_path):
    space = saved(small, "pggan", tmp_path / "small")
    latent = space.sample(3, seed=4)
    np.testing.assert_allclose(np.square(latent.values).mean(1), 1, rtol=1e-5)
    with torch.no_grad():
        want = small(torch.from_numpy(latent.values)).clamp(-1, 1).numpy()
    np.testing.assert_allclose(space.decode(latent), want, atol=1e-5)
    assert space.decode(latent[:0]).shape == (0, 3, 32, 32)
    assert [matrix.shape for matrix in space.style_weights()] == [(16 * 48, 20)]


def test_the_space_refuses_what_it_cannot_do(small, tmp_path):
    space = saved(small, "pggan", tmp_path / "small")
    with pytest.raises(BadInput, match="inverter"):
        space.encode(np.zeros((1, 3, 32, 32), np.float32))
    with pytest.raises(SpaceMismatch, match="encode or fit it again"):
        space.decode(Latent(np.zeros((1, 20), np.float32), "z", "other@00000000"))
    with pytest.raises(BadInput, match="conditional"):
        saved(Generator(Architecture(16, 256, 16, 8, labels=2)), "pggan", tmp_path / "labels")
    save_model(tmp_path / "bad", {"lod": np.zeros(1, np.float32)}, card_of(small, "pggan"))
    with pytest.raises(BadModel, match="does not hold the network"):
        open_space(tmp_path / "bad")
    odd = card_of(small, "pggan")
    odd["options"]["depth"] = 3
    save_model(tmp_path / "odd", {"lod": np.zeros(1, np.float32)}, odd)
    with pytest.raises(BadModel, match="unknown option depth"):
        open_space(tmp_path / "odd")

"""StyleGAN2 in the layout of rosinality/stylegan2-pytorch, which pSp and e4e share.

The average w lies beside the state dict there; a generator without it is given
one by `generators.stylegan2.Generator.estimate_average`.
"""

from __future__ import annotations

import numpy as np

from mien.errors import BadModel
from mien.generators.stylegan2 import Architecture, Critic, Discriminator, Generator
from mien.published import _stylegan2 as common
from mien.published._networks import opening
from mien.published._pairs import first, lead, lifted, plane, scalar, vector
from mien.published._table import Arrays, Pair, Table, count, side

RATE = 0.01  # learning rate multiplier of the mapping; no file records it


def generator_to_ours(
    tensors: Arrays, average: np.ndarray | None = None
) -> tuple[dict[str, np.ndarray], Architecture]:
    """(tensors under our keys, sizes) of a generator's state dict.

    average: `latent_avg` of the same checkpoint, [D], or [L, D] with equal rows.
    Files of before noise was stored get maps that depend on their keys alone.
    Raises BadModel naming a key that is missing, unexpected or of another shape.
    """
    shape = _generator_shape(tensors)
    ours = _generator_table(shape).to_ours(tensors)
    if average is not None:
        ours["average"] = _flat_average(np.asarray(average, np.float32), shape.latent)
    return ours, shape


def generator_from_ours(tensors: Arrays, shape: Architecture) -> dict[str, np.ndarray]:
    """The generator's state dict; its `latent_avg` is our "average"."""
    if shape.form != "skip" or shape.labels or not shape.noise:
        raise BadModel(
            'rosinality\'s layout holds unconditional generators of the form "skip" with noise only'
        )
    return _generator_table(shape).to_theirs(tensors)


def discriminator_to_ours(tensors: Arrays) -> tuple[dict[str, np.ndarray], Architecture, Critic]:
    """(tensors under our keys, sizes, critic) of a discriminator's state dict.

    Raises BadModel naming a key that is missing, unexpected or of another shape.
    """
    shape, critic = _discriminator_shape(tensors), Critic()
    return _discriminator_table(shape, critic).to_ours(tensors), shape, critic


def discriminator_from_ours(
    tensors: Arrays, shape: Architecture, critic: Critic
) -> dict[str, np.ndarray]:
    """The discriminator's state dict."""
    if critic != Critic() or shape.labels:
        raise BadModel('rosinality\'s layout holds unconditional "resnet" discriminators only')
    return _discriminator_table(shape, critic).to_theirs(tensors)


def open_generator(tensors: Arrays, average: np.ndarray | None = None) -> Generator:
    """A generator ready to run; without `average`, the mean of 10,000 mapped samples."""
    return common.load_generator(*generator_to_ours(tensors, average))


open_discriminator = opening(discriminator_to_ours, Discriminator)


def _generator_shape(tensors: Arrays) -> Architecture:
    what = common.GENERATOR
    ups = count(tensors, "to_rgbs.{}.bias", range(16))
    depth = count(tensors, "style.{}.weight", range(1, 65))
    widths = [side(tensors, "conv1.activate.bias", 0, what)]
    widths += [side(tensors, f"convs.{2 * j}.activate.bias", 0, what) for j in range(ups)]
    return common.sized(
        widths,
        latent=side(tensors, "conv1.conv.modulation.weight", 1, what),
        layers=depth,
        rate=RATE,
        taps=common.taps(tensors, "convs.0.conv.blur.kernel"),
        z=side(tensors, "style.1.weight", 1, what),
    )


def _generator_table(shape: Architecture) -> Table:
    pairs = [
        Pair(f"style.{i + 1}.{part}", f"mapping.layers.{i}.{part}")
        for i in range(shape.layers)
        for part in ("weight", "bias")
    ]
    pairs += [Pair("input.input", "synthesis.constant", first, lead)]
    ups = len(shape.levels) - 1
    for number, theirs in enumerate(["conv1", *(f"convs.{i}" for i in range(2 * ups))]):
        pairs += _layer(theirs, number)
    for number, theirs in enumerate(["to_rgb1", *(f"to_rgbs.{j}" for j in range(ups))]):
        pairs += _colour(theirs, number)
    kernel = common.kernel(shape, gain=4.0)
    constants = {f"convs.{2 * j}.conv.blur.kernel": kernel for j in range(ups)}
    constants |= {f"to_rgbs.{j}.upsample.kernel": kernel for j in range(ups)}
    return common.generator_table(shape, pairs, constants)


def _layer(theirs: str, number: int) -> list[Pair]:
    ours, noise = f"synthesis.layers.{number}", f"noises.noise_{number}"
    drawn = common.seeded_noise(noise)
    return [
        *_modulated(f"{theirs}.conv", f"{ours}.conv"),
        Pair(f"{theirs}.noise.weight", f"{ours}.strength", scalar, vector),
        Pair(f"{theirs}.activate.bias", f"{ours}.bias"),
        Pair(noise, f"{ours}.noise", plane, lifted, drawn),
    ]


def _colour(theirs: str, number: int) -> list[Pair]:
    ours = f"synthesis.colours.{number}"
    bias = Pair(f"{theirs}.bias", f"{ours}.bias", np.ravel, lambda a: a.reshape(1, -1, 1, 1))
    return [*_modulated(f"{theirs}.conv", f"{ours}.conv"), bias]


def _modulated(theirs: str, ours: str) -> list[Pair]:
    return [
        Pair(f"{theirs}.weight", f"{ours}.weight", first, lead),
        Pair(f"{theirs}.modulation.weight", f"{ours}.style.weight"),
        Pair(f"{theirs}.modulation.bias", f"{ours}.style.bias"),
    ]


def _flat_average(average: np.ndarray, width: int) -> np.ndarray:
    rows = average.reshape(-1, average.shape[-1]) if average.ndim else average.reshape(1, 1)
    if rows.shape[1] != width or np.abs(rows - rows[0]).max() > 1e-6:
        raise BadModel(
            f"latent_avg has shape {list(average.shape)}, expected [{width}] or equal rows of it"
        )
    return np.array(rows[0])


def _discriminator_shape(tensors: Arrays) -> Architecture:
    what = common.DISCRIMINATOR
    blocks = count(tensors, "convs.{}.conv2.2.bias", range(1, 17))
    widths = [side(tensors, "convs.0.1.bias", 0, what)]
    widths += [side(tensors, f"convs.{k}.conv2.2.bias", 0, what) for k in range(1, blocks + 1)]
    return common.sized(widths[::-1], taps=common.taps(tensors, "convs.1.conv2.0.kernel"))


def _discriminator_table(shape: Architecture, critic: Critic) -> Table:
    names = {"convs.0.0.weight": "colours.0.weight", "convs.0.1.bias": "colours.0.bias"}
    constants = {}
    for k in range(len(shape.levels) - 1):
        theirs, ours = f"convs.{k + 1}", f"blocks.{k}"
        names |= {
            f"{theirs}.conv1.0.weight": f"{ours}.first.weight",
            f"{theirs}.conv1.1.bias": f"{ours}.first.bias",
            f"{theirs}.conv2.1.weight": f"{ours}.second.weight",
            f"{theirs}.conv2.2.bias": f"{ours}.second.bias",
            f"{theirs}.skip.1.weight": f"{ours}.skip.weight",
        }
        for blurred in ("conv2", "skip"):
            constants[f"{theirs}.{blurred}.0.kernel"] = common.kernel(shape)
    names |= {"final_conv.0.weight": "last.weight", "final_conv.1.bias": "last.bias"}
    for number, ours in enumerate(("hidden", "score")):
        for part in ("weight", "bias"):
            names[f"final_linear.{number}.{part}"] = f"{ours}.{part}"
    pairs = [Pair(theirs, ours) for theirs, ours in names.items()]
    return common.discriminator_table(shape, critic, pairs, constants)

"""StyleGAN2 in the layout of genforce/genforce and genforce/sefa.

Two differences hide from shape checks: weights of upsampling convolutions are
stored reversed in both spatial axes, and 1 is added to style biases in the code.
"""

from __future__ import annotations

import numpy as np

from mien.errors import BadModel
from mien.generators.stylegan2 import Architecture, Critic, Discriminator, Generator
from mien.published import _stylegan2 as common
from mien.published._networks import opening
from mien.published._pairs import both, first, flip, label_weight, lead, lifted, plane
from mien.published._table import Arrays, Options, Pair, Table, count, positive, same, side


def generator_to_ours(
    tensors: Arrays, options: Options | None = None
) -> tuple[dict[str, np.ndarray], Architecture]:
    """(tensors under our keys, sizes) of a generator's state dict.

    options: keyword arguments of the original constructor, of which
    mapping_lr_mul cannot be told from the tensors.
    Raises BadModel naming a key that is missing, unexpected or of another shape.
    """
    shape = _generator_shape(tensors, options or {})
    ours = _generator_table(shape).to_ours(tensors)
    if shape.labels:  # the original has no bias here
        ours["mapping.embed.bias"] = np.zeros(shape.mapping[0], np.float32)
    return ours, shape


def generator_from_ours(tensors: Arrays, shape: Architecture) -> dict[str, np.ndarray]:
    """The generator's state dict."""
    if shape.form == "resnet" or shape.clamp is not None or not shape.noise:
        raise BadModel("genforce's layout cannot hold residual, clamped or noiseless generators")
    if shape.labels and (not shape.joint or np.any(tensors["mapping.embed.bias"])):
        raise BadModel("genforce's layout cannot hold labels that are normalised apart from z")
    return _generator_table(shape).to_theirs(tensors)


def discriminator_to_ours(
    tensors: Arrays, options: Options | None = None
) -> tuple[dict[str, np.ndarray], Architecture, Critic]:
    """(tensors under our keys, sizes, critic) of a discriminator's state dict.

    options: keyword arguments of the original constructor, of which label_size
    1 and minibatch_std_group_size cannot be told from the tensors.
    Raises BadModel naming a key that is missing, unexpected or of another shape.
    """
    shape, critic = _discriminator_shape(tensors, options or {})
    return _discriminator_table(shape, critic).to_ours(tensors), shape, critic


def discriminator_from_ours(
    tensors: Arrays, shape: Architecture, critic: Critic
) -> dict[str, np.ndarray]:
    """The discriminator's state dict."""
    if critic.mapping or shape.clamp is not None:
        raise BadModel("genforce's layout cannot hold mapped labels or clamped features")
    return _discriminator_table(shape, critic).to_theirs(tensors)


open_generator = opening(generator_to_ours, Generator)
open_discriminator = opening(discriminator_to_ours, Discriminator)


def _generator_shape(tensors: Arrays, options: Options) -> Architecture:
    what = common.GENERATOR
    layers = count(tensors, "synthesis.layer{}.bias", range(64))
    z = inputs = side(tensors, "mapping.dense0.weight", 1, what)
    labels = 0
    if "mapping.label_weight" in tensors:
        labels, z = tensors["mapping.label_weight"].shape
    widths = [side(tensors, f"synthesis.layer{i}.bias", 0, what) for i in range(0, layers, 2)]
    if not widths or z * (2 if labels else 1) != inputs:
        raise BadModel(f"{what} lacks synthesis.layer0.bias or a whole mapping; it is incomplete")
    return common.sized(
        widths,
        latent=side(tensors, "synthesis.layer0.style.weight", 1, what),
        layers=count(tensors, "mapping.dense{}.weight", range(64)),
        form="skip" if "synthesis.output0.bias" in tensors else "orig",
        labels=labels,
        joint=bool(labels),
        taps=common.taps(tensors, "synthesis.layer1.filter.kernel"),
        z=z,
        hidden=side(tensors, "mapping.dense0.weight", 0, what),
        rate=positive(options, "mapping_lr_mul", 0.01),
    )


def _generator_table(shape: Architecture) -> Table:
    pairs = [Pair("truncation.w_avg", "average")]
    pairs += both({f"mapping.dense{i}": f"mapping.layers.{i}" for i in range(shape.layers)})
    if shape.labels:
        pairs += [label_weight(shape.labels)]
    pairs += [Pair("synthesis.early_layer.const", "synthesis.constant", first, lead)]
    for number in range(2 * len(shape.levels) - 1):
        pairs += _layer(number)
    for n, level in enumerate(shape.levels):
        if shape.form == "skip" or level == shape.size:
            pairs += _colour(n, n if shape.form == "skip" else 0)
    kernel = lifted(common.kernel(shape, gain=4.0))
    ups = range(1, 2 * len(shape.levels) - 1, 2)
    constants = {f"synthesis.layer{i}.filter.kernel": kernel for i in ups}
    if shape.form == "skip":
        constants["synthesis.upsample.kernel"] = kernel
    return common.generator_table(shape, pairs, constants)


def _layer(number: int) -> list[Pair]:
    theirs, ours = f"synthesis.layer{number}", f"synthesis.layers.{number}"
    turn = flip if number % 2 else same
    return [
        Pair(f"{theirs}.weight", f"{ours}.conv.weight", turn, turn),
        *_style(theirs, ours),
        Pair(f"{theirs}.bias", f"{ours}.bias"),
        Pair(f"{theirs}.noise_strength", f"{ours}.strength"),
        Pair(f"{theirs}.noise", f"{ours}.noise", plane, lifted),
    ]


def _colour(theirs: int, ours: int) -> list[Pair]:
    a, b = f"synthesis.output{theirs}", f"synthesis.colours.{ours}"
    plain = [Pair(f"{a}.weight", f"{b}.conv.weight"), Pair(f"{a}.bias", f"{b}.bias")]
    return [*plain, *_style(a, b)]


def _style(theirs: str, ours: str) -> list[Pair]:
    bias = Pair(f"{theirs}.style.bias", f"{ours}.conv.style.bias", lambda a: a + 1, lambda a: a - 1)
    return [Pair(f"{theirs}.style.weight", f"{ours}.conv.style.weight"), bias]


def _discriminator_shape(tensors: Arrays, options: Options) -> tuple[Architecture, Critic]:
    what = common.DISCRIMINATOR
    layers = count(tensors, "layer{}.bias", range(64))
    if layers < 5 or layers % 2 == 0:
        raise BadModel(f"{what} lacks layer{layers}.bias; the file is incomplete")
    widths = [side(tensors, "input0.bias", 0, what)]
    widths += [side(tensors, f"layer{i}.bias", 0, what) for i in range(1, layers - 3, 2)]
    scores = side(tensors, f"layer{layers - 1}.bias", 0, what)
    labels = options.get("label_size", scores if scores > 1 else 0)
    shape = common.sized(
        widths[::-1], labels=labels, taps=common.taps(tensors, "layer1.filter.kernel")
    )
    critic = Critic(
        form="resnet" if "skip_layer0.weight" in tensors else _plain_form(tensors),
        group=options.get("minibatch_std_group_size", 4),
        deviations=side(tensors, f"layer{layers - 3}.weight", 1, what) - widths[-1],
        hidden=side(tensors, f"layer{layers - 2}.bias", 0, what),
    )
    return shape, critic


def _plain_form(tensors: Arrays) -> str:
    return "skip" if "input1.bias" in tensors else "orig"


def _discriminator_table(shape: Architecture, critic: Critic) -> Table:
    blocks = len(shape.levels) - 1
    names, skips = {"input0": "colours.0"}, []
    kernel = lifted(common.kernel(shape))
    constants = {}
    for k in range(blocks):
        names |= {f"layer{2 * k}": f"blocks.{k}.first", f"layer{2 * k + 1}": f"blocks.{k}.second"}
        constants[f"layer{2 * k + 1}.filter.kernel"] = kernel
        if critic.form == "skip":
            names[f"input{k + 1}"] = f"colours.{k + 1}"
        if critic.form == "resnet":
            skips += [Pair(f"skip_layer{k}.weight", f"blocks.{k}.skip.weight")]
            constants[f"skip_layer{k}.filter.kernel"] = kernel
    if critic.form == "skip":
        constants["downsample.kernel"] = kernel
    names |= {f"layer{2 * blocks + i}": o for i, o in enumerate(("last", "hidden", "score"))}
    return common.discriminator_table(shape, critic, [*both(names), *skips], constants)

"""StyleGAN2 in the layout of NVlabs/stylegan2-ada-pytorch (and of stylegan3's networks_stylegan2).

A state dict does not tell every option: `options` are the keyword arguments of
the original constructor, which its pickles carry (init_kwargs).
"""

from __future__ import annotations

import numpy as np

from mien.errors import BadModel
from mien.generators.stylegan2 import Architecture, Critic, Discriminator, Generator
from mien.published import _stylegan2 as common
from mien.published._networks import opening
from mien.published._pairs import both
from mien.published._table import Arrays, Options, Pair, Table, count, positive, side

LEVELS = [2**n for n in range(2, 16)]


def generator_to_ours(
    tensors: Arrays, options: Options | None = None
) -> tuple[dict[str, np.ndarray], Architecture]:
    """(tensors under our keys, sizes) of a generator's state dict; fp16 parts run in fp32.

    Raises BadModel naming a key that is missing, unexpected or of another shape.
    """
    shape = _generator_shape(tensors, options or {})
    return _generator_table(shape).to_ours(tensors), shape


def generator_from_ours(tensors: Arrays, shape: Architecture) -> dict[str, np.ndarray]:
    """The generator's state dict."""
    if shape.joint:
        raise BadModel("NVIDIA's PyTorch layout cannot hold labels that are normalised with z")
    return _generator_table(shape).to_theirs(tensors)


def discriminator_to_ours(
    tensors: Arrays, options: Options | None = None
) -> tuple[dict[str, np.ndarray], Architecture, Critic]:
    """(tensors under our keys, sizes, critic) of a discriminator's state dict.

    Raises BadModel naming a key that is missing, unexpected or of another shape.
    """
    shape, critic = _discriminator_shape(tensors, options or {})
    return _discriminator_table(shape, critic).to_ours(tensors), shape, critic


def discriminator_from_ours(
    tensors: Arrays, shape: Architecture, critic: Critic
) -> dict[str, np.ndarray]:
    """The discriminator's state dict."""
    if shape.labels and not critic.mapping:
        raise BadModel("NVIDIA's PyTorch layout cannot hold one score a class")
    return _discriminator_table(shape, critic).to_theirs(tensors)


open_generator = opening(generator_to_ours, Generator)
open_discriminator = opening(discriminator_to_ours, Discriminator)


def _generator_shape(tensors: Arrays, options: Options) -> Architecture:
    what = common.GENERATOR
    inner, outer = options.get("synthesis_kwargs", {}), options.get("mapping_kwargs", {})
    _check_activation(inner, outer)
    levels = LEVELS[: count(tensors, "synthesis.b{}.conv1.bias", LEVELS)]
    latent = side(tensors, "synthesis.b4.conv1.affine.weight", 1, what)
    labels, z, layers, hidden = _mapping_shape(tensors, what)
    last = levels[-1] if levels else 4
    return common.sized(
        [side(tensors, f"synthesis.b{level}.conv1.bias", 0, what) for level in levels or [4]],
        latent=latent,
        layers=layers,
        form=_form(tensors, "synthesis.b{}.torgb.bias", "synthesis.b8.skip.weight", 4),
        labels=labels,
        clamp=_clamp(inner),
        noise="synthesis.b4.conv1.noise_strength" in tensors,
        taps=common.taps(tensors, f"synthesis.b{last}.resample_filter"),
        z=z,
        hidden=hidden,
        rate=positive(outer, "lr_multiplier", 0.01),
    )


def _mapping_shape(tensors: Arrays, what: str) -> tuple[int, int, int, int]:
    """Classes, width of z, number of layers, width of the inner layers."""
    layers = count(tensors, "mapping.fc{}.weight", range(64))
    inputs = side(tensors, "mapping.fc0.weight", 1, what)
    hidden = side(tensors, "mapping.fc0.weight", 0, what)
    if "mapping.embed.weight" not in tensors:
        return 0, inputs, layers, hidden
    labels = side(tensors, "mapping.embed.weight", 1, what)
    return labels, inputs - side(tensors, "mapping.embed.weight", 0, what), layers, hidden


def _form(tensors: Arrays, colour: str, skip: str, where: int) -> str:
    if colour.format(where) in tensors:
        return "skip"
    return "resnet" if skip in tensors else "orig"


def _clamp(options: Options) -> float | None:
    return None if options.get("conv_clamp") is None else positive(options, "conv_clamp", 0)


def _check_activation(*options: Options) -> None:
    for given in options:
        if given.get("activation", "lrelu") != "lrelu":
            raise BadModel(f"activation {given['activation']!r} is not supported, only 'lrelu'")


def _generator_table(shape: Architecture) -> Table:
    pairs = [Pair("mapping.w_avg", "average"), *_mapping_pairs(shape.layers, bool(shape.labels))]
    pairs += [Pair("synthesis.b4.const", "synthesis.constant")]
    filters = []
    for n, level in enumerate(shape.levels):
        block = f"synthesis.b{level}"
        filters += [f"{block}.resample_filter", f"{block}.conv1.resample_filter"]
        if n:
            pairs += _layer(f"{block}.conv0", 2 * n - 1, shape.noise)
            filters += [f"{block}.conv0.resample_filter"]
        pairs += _layer(f"{block}.conv1", 2 * n, shape.noise)
        if n and shape.form == "resnet":
            pairs += [Pair(f"{block}.skip.weight", f"synthesis.skips.{n - 1}.weight")]
            filters += [f"{block}.skip.resample_filter"]
        if shape.form == "skip" or level == shape.size:
            ours = f"synthesis.colours.{n if shape.form == 'skip' else 0}"
            pairs += [
                *_modulated(f"{block}.torgb", ours),
                Pair(f"{block}.torgb.bias", f"{ours}.bias"),
            ]
    constants = dict.fromkeys(filters, common.kernel(shape))
    return common.generator_table(shape, pairs, constants)


def _mapping_pairs(layers: int, labels: bool) -> list[Pair]:
    names = {f"mapping.fc{i}": f"mapping.layers.{i}" for i in range(layers)}
    if labels:
        names["mapping.embed"] = "mapping.embed"
    return both(names)


def _layer(theirs: str, number: int, noise: bool) -> list[Pair]:
    ours = f"synthesis.layers.{number}"
    pairs = [*_modulated(theirs, ours), Pair(f"{theirs}.bias", f"{ours}.bias")]
    if noise:
        pairs += [
            Pair(f"{theirs}.noise_strength", f"{ours}.strength"),
            Pair(f"{theirs}.noise_const", f"{ours}.noise"),
        ]
    return pairs


def _modulated(theirs: str, ours: str) -> list[Pair]:
    return [
        Pair(f"{theirs}.weight", f"{ours}.conv.weight"),
        Pair(f"{theirs}.affine.weight", f"{ours}.conv.style.weight"),
        Pair(f"{theirs}.affine.bias", f"{ours}.conv.style.bias"),
    ]


def _discriminator_shape(tensors: Arrays, options: Options) -> tuple[Architecture, Critic]:
    what = common.DISCRIMINATOR
    end = options.get("epilogue_kwargs", {})
    _check_activation(options.get("block_kwargs", {}), end, options.get("mapping_kwargs", {}))
    levels = [4, *LEVELS[1:][: count(tensors, "b{}.conv1.bias", LEVELS[1:])]]
    widths = [side(tensors, f"b{2 * level}.conv1.bias", 0, what) for level in levels[:-1]]
    widths += [side(tensors, f"b{levels[-1]}.fromrgb.weight", 0, what)]
    labels, _, layers, mapped = (
        _mapping_shape(tensors, what) if "mapping.fc0.weight" in tensors else (0, 0, 0, 0)
    )
    shape = common.sized(
        widths,
        labels=labels,
        clamp=_clamp(options),
        taps=common.taps(tensors, f"b{levels[-1]}.resample_filter"),
        rate=positive(options.get("mapping_kwargs", {}), "lr_multiplier", 0.01),
    )
    critic = Critic(
        form=_form(tensors, "b{}.fromrgb.bias", f"b{levels[-1]}.skip.weight", 4),
        group=end.get("mbstd_group_size", 4),
        deviations=side(tensors, "b4.conv.weight", 1, what) - widths[0],
        mapping=layers,
        mapped=mapped or None,
    )
    return shape, critic


def _discriminator_table(shape: Architecture, critic: Critic) -> Table:
    names, filters, skips = {}, [], []
    for k, level in enumerate(reversed(shape.levels)):
        block, inner = f"b{level}", ["conv"] if level == 4 else ["conv0", "conv1"]
        if k == 0 or critic.form == "skip":
            names[f"{block}.fromrgb"] = f"colours.{k}"
            inner = [*inner, "fromrgb"]
        if level > 4:
            names |= {f"{block}.conv0": f"blocks.{k}.first", f"{block}.conv1": f"blocks.{k}.second"}
            filters += [f"{block}.resample_filter"]
        if level > 4 and critic.form == "resnet":
            skips += [Pair(f"{block}.skip.weight", f"blocks.{k}.skip.weight")]
            inner = [*inner, "skip"]
        filters += [f"{block}.{part}.resample_filter" for part in inner]
    names |= {"b4.conv": "last", "b4.fc": "hidden", "b4.out": "score"}
    pairs = [*both(names), *skips, *_mapping_pairs(critic.mapping, bool(critic.mapping))]
    constants = dict.fromkeys(filters, common.kernel(shape))
    return common.discriminator_table(shape, critic, pairs, constants)

"""StyleGAN in the layouts of genforce (genforce/genforce, genforce/sefa) and InterFaceGAN.

Two differences hide from shape checks: "fused" upsampling layers are stored as
transposed convolutions (by default those from 128 px), and the original scales
the mapping's weights where we scale what they give (see generators/stylegan.py).
"""

from __future__ import annotations

import numpy as np

from mien.errors import BadModel, UnknownName
from mien.generators.stylegan import Architecture, Generator
from mien.published import _grown as common
from mien.published._networks import opening, shapes
from mien.published._pairs import blur_kernel, first, flip, label_weight, lead, lifted, plane
from mien.published._table import Arrays, Options, Pair, Table, count, positive, side

LAYOUTS = ("genforce", "interfacegan")
GENERATOR = "this StyleGAN generator"
GENFORCE = {
    "constant": "const", "weight": ".weight", "conv": ".weight", "bias": ".bias", "inside": "",
    "style.weight": "style.weight", "style.bias": "style.bias",
}  # fmt: skip
INTERFACEGAN = {
    "constant": "first_layer", "weight": ".linear.weight", "conv": ".conv.weight",
    "bias": ".wscale.bias", "inside": "epilogue.",
    "style.weight": "style_mod.dense.linear.weight", "style.bias": "style_mod.dense.wscale.bias",
}  # fmt: skip


def generator_to_ours(
    tensors: Arrays, options: Options | None = None
) -> tuple[dict[str, np.ndarray], Architecture]:
    """(tensors under our keys, sizes) of a generator's state dict, of either layout.

    options: keyword arguments of the original constructor, of which
    mapping_lr_mul, final_tanh, genforce's fused_scale (default "auto") and, where
    the file lacks its row of factors, InterFaceGAN's truncation_psi and
    truncation_layers (default none) cannot be told from the tensors.
    Raises BadModel naming a key that is missing, unexpected or of another shape.
    """
    options = options or {}
    layout = "interfacegan" if "synthesis.layer0.first_layer" in tensors else "genforce"
    shape = _shape(tensors, options, layout)
    table = _table(shape, layout, _fused_levels(tensors, options, layout, shape))
    if "truncation.truncation" in tensors:
        table.pairs.append(_truncation())
    ours = table.to_ours(tensors)
    if "truncation" not in ours:
        ours["truncation"] = _factors(options, shape)
    if shape.labels:  # the original has no bias here
        ours["mapping.embed.bias"] = np.zeros(shape.mapping[0], np.float32)
    return ours, shape


def generator_from_ours(
    tensors: Arrays, shape: Architecture, layout: str = "genforce", fused: bool | str = "auto"
) -> dict[str, np.ndarray]:
    """The generator's state dict; `fused` as the constructor's fused_scale."""
    if layout not in LAYOUTS:
        raise UnknownName("layout", layout, LAYOUTS)
    if shape.labels and (layout != "genforce" or np.any(tensors["mapping.embed.bias"])):
        raise BadModel(f"{layout}'s layout cannot hold the labels of this StyleGAN generator")
    levels = [n for n in shape.levels if common.fused({"fused_scale": fused}, n, fused)]
    table = _table(shape, layout, levels)
    if layout == "interfacegan":
        table.pairs.append(_truncation())
    return table.to_theirs(tensors)


open_generator = opening(generator_to_ours, Generator)


def _names(layout: str) -> dict[str, str]:
    return INTERFACEGAN if layout == "interfacegan" else GENFORCE


def _shape(tensors: Arrays, options: Options, layout: str) -> Architecture:
    names = _names(layout)
    side(tensors, "synthesis.output0.bias", 0, GENERATOR)
    heads = count(tensors, "synthesis.output{}.bias", range(32))
    inside = names["inside"]
    widths = [
        side(tensors, f"synthesis.layer{2 * n}.{inside}bias", 0, GENERATOR) for n in range(heads)
    ]
    dense = f"mapping.dense0{names['weight']}"
    z, labels = side(tensors, dense, 1, GENERATOR), 0
    if "mapping.label_weight" in tensors:
        labels, z = (side(tensors, "mapping.label_weight", axis, GENERATOR) for axis in (0, 1))
    return Architecture(
        **common.sized(widths, GENERATOR),
        latent=side(tensors, f"synthesis.layer0.{inside}{names['style.weight']}", 1, GENERATOR),
        layers=count(tensors, f"mapping.dense{{}}{names['weight']}", range(64)),
        z=z,
        hidden=side(tensors, dense, 0, GENERATOR),
        rate=positive(options, "mapping_lr_mul", 0.01),
        labels=labels,
        squash=common.squash(options),
        fade=layout == "genforce",
    )


def _fused_levels(tensors: Arrays, options: Options, layout: str, shape: Architecture) -> list[int]:
    """InterFaceGAN shows in a key which layers are fused, genforce nowhere."""
    if layout == "genforce":
        return [level for level in shape.levels if common.fused(options, level, "auto")]
    numbered = enumerate(shape.levels)
    return [level for n, level in numbered if f"synthesis.layer{2 * n}.weight" in tensors]


def _factors(options: Options, shape: Architecture) -> np.ndarray:
    """Truncation row by row, from InterFaceGAN's options."""
    psi, layers = options.get("truncation_psi"), options.get("truncation_layers")
    factors = np.ones(shape.styles, np.float32)
    factors[: layers or 0] = 1 if psi is None else psi
    return factors


def _truncation() -> Pair:
    return Pair(
        "truncation.truncation", "truncation", lambda a: a.reshape(-1), lambda a: a[None, :, None]
    )


def _table(shape: Architecture, layout: str, fused: list[int]) -> Table:
    names = _names(layout)
    pairs = [Pair("truncation.w_avg", "average"), Pair("synthesis.lod", "synthesis.lod")]
    for n in range(shape.layers):
        theirs, ours = f"mapping.dense{n}", f"mapping.layers.{n}"
        pairs += [Pair(f"{theirs}{names['weight']}", f"{ours}.weight")]
        pairs += [common.rectified(f"{theirs}{names['bias']}", f"{ours}.bias")]
    pairs += [label_weight(shape.labels)] if shape.labels else []
    for n in range(shape.styles):
        pairs += _layer(n, layout, transposed=n % 2 == 0 and shape.levels[n // 2] in fused)
    for n in range(len(shape.levels)):
        theirs, ours = f"synthesis.output{n}", f"synthesis.heads.{n}.conv"
        pairs += [Pair(f"{theirs}{names['conv']}", f"{ours}.weight")]
        pairs += [Pair(f"{theirs}.bias", f"{ours}.bias")]
    constants = {
        f"synthesis.layer{2 * n}.blur.kernel": blur_kernel(shape.channels[n])
        for n in range(1, len(shape.levels))
    }
    return Table(GENERATOR, pairs, constants, shapes(GENERATOR, lambda: Generator(shape)))


def _layer(number: int, layout: str, transposed: bool) -> list[Pair]:
    names = _names(layout)
    theirs, ours = f"synthesis.layer{number}.", f"synthesis.layers.{number}"
    inside = f"{theirs}{names['inside']}"
    return [
        _convolution(number, layout, transposed),
        Pair(f"{inside}bias", f"{ours}.bias"),
        Pair(f"{inside}apply_noise.weight", f"{ours}.strength"),
        Pair(f"{inside}apply_noise.noise", f"{ours}.noise", plane, lifted),
        Pair(f"{inside}{names['style.weight']}", f"{ours}.style.weight"),
        Pair(f"{inside}{names['style.bias']}", f"{ours}.style.bias"),
    ]


def _convolution(number: int, layout: str, transposed: bool) -> Pair:
    theirs, ours = f"synthesis.layer{number}", f"synthesis.layers.{number}"
    if number == 0:
        constant = f"{theirs}.{_names(layout)['constant']}"
        return Pair(constant, f"{ours}.constant", first, lead)
    if not transposed:
        return Pair(f"{theirs}{_names(layout)['conv']}", f"{ours}.conv.weight")
    change = {
        "interfacegan": (common.from_hwio, common.to_hwio),
        "genforce": (flip, flip),
    }
    return Pair(f"{theirs}.weight", f"{ours}.conv.weight", *change[layout])

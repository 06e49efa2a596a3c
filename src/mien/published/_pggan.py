"""PGGAN in the layouts of genforce (genforce/genforce, genforce/sefa) and InterFaceGAN.

Two differences hide from shape checks: the first layer is stored as a 4x4
convolution with its axes reversed, and "fused" upsampling layers as transposed
convolutions.
"""

from __future__ import annotations

import numpy as np

from mien.errors import UnknownName
from mien.generators.pggan import Architecture, Generator
from mien.published import _grown as common
from mien.published._networks import opening, shapes
from mien.published._pairs import flip
from mien.published._table import Arrays, Options, Pair, Table, count, side

LAYOUTS = ("genforce", "interfacegan")
GENERATOR = "this PGGAN generator"


def generator_to_ours(
    tensors: Arrays, options: Options | None = None
) -> tuple[dict[str, np.ndarray], Architecture]:
    """(tensors under our keys, sizes) of a generator's state dict, of either layout.

    options: keyword arguments of the original constructor, of which final_tanh,
    label_size and, where no layer changes its width, genforce's fused_scale
    cannot be told from the tensors.
    Raises BadModel naming a key that is missing, unexpected or of another shape.
    """
    options = options or {}
    layout = "interfacegan" if "layer0.conv.weight" in tensors else "genforce"
    shape = _shape(tensors, options, layout)
    transposed = _fused(tensors, options, layout, shape)
    return _table(shape, layout, transposed).to_ours(tensors), shape


def generator_from_ours(
    tensors: Arrays, shape: Architecture, layout: str = "genforce", fused: bool = False
) -> dict[str, np.ndarray]:
    """The generator's state dict; `fused` as the constructor's fused_scale."""
    if layout not in LAYOUTS:
        raise UnknownName("layout", layout, LAYOUTS)
    return _table(shape, layout, fused).to_theirs(tensors)


open_generator = opening(generator_to_ours, Generator)


def _shape(tensors: Arrays, options: Options, layout: str) -> Architecture:
    weight, bias = _parts(layout)
    side(tensors, f"output0{bias}", 0, GENERATOR)
    heads = count(tensors, f"output{{}}{bias}", range(32))
    widths = [side(tensors, f"layer{2 * n}{bias}", 0, GENERATOR) for n in range(heads)]
    labels = options.get("label_size", 0)
    return Architecture(
        **common.sized(widths, GENERATOR),
        latent=side(tensors, f"layer0{weight}", 1, GENERATOR) - labels,
        labels=labels,
        squash=common.squash(options),
        fade=layout == "genforce",
    )


def _fused(tensors: Arrays, options: Options, layout: str, shape: Architecture) -> bool:
    """InterFaceGAN shows it in a key, genforce where a layer changes its width."""
    if layout == "interfacegan":
        return "layer2.weight" in tensors
    for n in range(1, len(shape.channels)):
        before, after = shape.channels[n - 1 : n + 1]
        if before != after and "fused_scale" not in options:
            return side(tensors, f"layer{2 * n}.weight", 0, GENERATOR) == before
    return common.fused(options, 0, False)


def _parts(layout: str) -> tuple[str, str]:
    return (".conv.weight", ".wscale.bias") if layout == "interfacegan" else (".weight", ".bias")


def _table(shape: Architecture, layout: str, fused: bool) -> Table:
    weight, bias = _parts(layout)
    pairs = [Pair("lod", "lod"), _start(weight, shape), Pair(f"layer0{bias}", "layers.0.bias")]
    for n in range(1, 2 * len(shape.channels)):
        pairs += [Pair(f"layer{n}{bias}", f"layers.{n}.conv.bias")]
        pairs += [_convolution(n, layout) if fused and n % 2 == 0 else _plain(n, weight)]
    for n in range(len(shape.channels)):
        pairs += [Pair(f"output{n}{weight}", f"heads.{n}.conv.weight")]
        pairs += [Pair(f"output{n}{bias}", f"heads.{n}.conv.bias")]
    return Table(GENERATOR, pairs, {}, shapes(GENERATOR, lambda: Generator(shape)))


def _start(weight: str, shape: Architecture) -> Pair:
    """Theirs [C, D, 4, 4] is reversed; ours is [16 C, D], rows ordered y, x, channel."""

    def unpack(array: np.ndarray) -> np.ndarray:
        return flip(array).transpose(2, 3, 0, 1).reshape(-1, array.shape[1])

    def pack(array: np.ndarray) -> np.ndarray:
        return flip(array.reshape(4, 4, shape.channels[0], -1).transpose(2, 3, 0, 1))

    return Pair(f"layer0{weight}", "layers.0.weight", unpack, pack)


def _plain(number: int, weight: str) -> Pair:
    return Pair(f"layer{number}{weight}", f"layers.{number}.conv.weight")


def _convolution(number: int, layout: str) -> Pair:
    """A "fused" layer, in both layouts a transposed convolution."""
    change = {
        "interfacegan": (common.from_hwio, common.to_hwio),
        "genforce": (common.swapped, common.swapped),
    }
    return Pair(f"layer{number}.weight", f"layers.{number}.conv.weight", *change[layout])

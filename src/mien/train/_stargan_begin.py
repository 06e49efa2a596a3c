"""Weights of one translator for another to begin with."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from mien.errors import BadInput
from mien.generators import open_translator
from mien.generators._labels import Vocabulary
from mien.generators.stargan import Generator, Norm, StarGAN

NOISE = 0.1  # of a weight, by which channels that were one are told apart

Tensors = dict[str, torch.Tensor]


def begin(generator: Generator, vocabulary: Vocabulary, model: str) -> None:
    """Give the generator the weights of a translator.

    It may be of another blur or coarseness, narrower, if its width divides the generator's,
    and of lookup tables where the generator reads label maps. Raises BadInput for other names
    or sizes.
    """
    translator = open_stargan(model, "begin")
    network, ours, theirs = translator.network, generator.shape, translator.network.shape
    times, left = divmod(ours.width, theirs.width)
    from_tables = (ours.condition, theirs.condition) == ("maps", "lookup")
    free = {"width", "blur", "coarse"} | ({"condition"} if from_tables else set())
    fixed = [getattr(ours, key) == getattr(theirs, key) for key in vars(ours).keys() - free]
    if translator.vocabulary != vocabulary or times < 1 or left or not all(fixed):
        raise BadInput(
            f"begin={model} is a network of other sizes or names; give those of its card's recipe"
        )
    weights = (_widened(network, times) if times > 1 else network).state_dict()
    if from_tables:
        weights = _with_maps(weights, generator.state_dict())
    generator.load_state_dict(weights)


def open_stargan(model: str, field: str) -> StarGAN:
    """The StarGAN that a field of the recipe names; BadInput where it is another translator."""
    translator = open_translator(model)
    if not isinstance(translator, StarGAN):
        raise BadInput(f"{field}={model} is no StarGAN; give one that mien train stargan made")
    return translator


def _widened(narrow: Generator, times: int) -> Generator:
    """A generator of `times` the width that draws nearly the same: every channel several times.

    Chen et al., "Net2Net" (ICLR 2016), with noise, without which copies would stay alike.
    """
    wide = Generator(replace(narrow.shape, width=times * narrow.shape.width))
    for one, other in zip(narrow.modules(), wide.modules(), strict=True):
        if isinstance(one, nn.Conv2d | nn.ConvTranspose2d):
            weight, into = one.weight, int(isinstance(one, nn.Conv2d))  # the axis of inputs
            sizes = other.get_parameter("weight").shape
            for axis in (0, 1):
                more = sizes[axis] // weight.shape[axis]  # 1 for colours
                weight = weight.repeat_interleave(more, axis) / (more if axis == into else 1)
            other.get_parameter("weight").data = weight * (1 + NOISE * torch.randn_like(weight))
        elif isinstance(one, Norm):
            for name, value in one.named_parameters():
                other.get_parameter(name).data = value.repeat_interleave(times, -1)
    return wide


def _with_maps(tables: Tensors, drawn: Tensors) -> Tensors:
    """Weights for label maps from those of lookup tables, of whose rows half is always there.

    Those of the maps themselves stay as drawn.
    """
    found = drawn | {key: value for key, value in tables.items() if not key.endswith(".gain")}
    for key, value in tables.items():
        if key.endswith(".gain"):
            name = key.removesuffix(".gain")
            found[f"{name}.weight"] = 1 + value.sum(0) / 2
            found[f"{name}.bias"] = tables[f"{name}.bias"].sum(0) / 2
    first = "main.0.weight"
    found[first] = torch.cat([tables[first], drawn[first][:, tables[first].shape[1] :]], 1)
    return found

"""StarGAN in the layout of yunjey/stargan, and nigalsan1/DLIM2020's with lookup tables.

The files hold a bare state dict: neither the size of the faces nor the names of the labels.
"""

from __future__ import annotations

import numpy as np

from mien.errors import BadModel
from mien.generators.stargan import Architecture, Critic, Discriminator, Generator
from mien.published._networks import opening, shapes
from mien.published._table import Arrays, Pair, Table, count, side

WHAT, CRITIC = "the generator", "the discriminator"
SIZE = 128  # px; what both publications trained at
LOGITS = "conv2.weight"
COUNTED = "num_batches_tracked"  # a number that nothing reads


def generator_to_ours(tensors: Arrays) -> tuple[dict[str, np.ndarray], Architecture]:
    """(tensors under our keys, sizes) of a generator's state dict.

    Running statistics are kept where the file has them, and not used: results were
    published with each face's own. Raises BadModel naming a key that is missing,
    unexpected or of another shape.
    """
    lookup = "L1.weight" in tensors
    shape = _lookup_shape(tensors) if lookup else _maps_shape(tensors)
    return _generator_table(shape).to_ours(_uncounted(tensors)), shape


def generator_from_ours(tensors: Arrays, shape: Architecture) -> dict[str, np.ndarray]:
    """The generator's state dict under the published names."""
    if shape.condition == "lookup" and shape.depth != 6:
        raise BadModel("the published layout of lookup tables has six residual blocks")
    return _generator_table(shape).to_theirs(tensors)


def discriminator_to_ours(tensors: Arrays) -> tuple[dict[str, np.ndarray], Critic]:
    """(tensors under our keys, which are theirs; sizes) of a discriminator's state dict.

    Raises BadModel naming a key that is missing, unexpected or of another shape.
    """
    depth = count(tensors, "main.{}.weight", range(0, 64, 2))
    labels, width = side(tensors, LOGITS, 0, CRITIC), side(tensors, "main.0.weight", 0, CRITIC)
    left = side(tensors, LOGITS, 2, CRITIC)
    critic = Critic(left * 2**depth, width, depth, labels)
    known = shapes(CRITIC, lambda: Discriminator(critic))
    return Table(CRITIC, [Pair(key, key) for key in known], {}, known).to_ours(tensors), critic


open_generator = opening(generator_to_ours, Generator)
open_discriminator = opening(discriminator_to_ours, Discriminator)


def _maps_shape(tensors: Arrays) -> Architecture:
    read = side(tensors, "main.0.weight", 1, WHAT)
    if read <= 3:
        raise BadModel(f"main.0.weight of {WHAT} reads {read} channels, which leaves no labels")
    return Architecture(
        size=SIZE,
        width=side(tensors, "main.0.weight", 0, WHAT),
        depth=count(tensors, "main.{}.main.0.weight", range(9, 9 + 64)),
        labels=read - 3,
        statistics="kept" if "main.1.running_mean" in tensors else "instance",
    )


def _lookup_shape(tensors: Arrays) -> Architecture:
    return Architecture(
        size=SIZE,
        width=side(tensors, "L1.weight", 0, WHAT),
        depth=count(tensors, "L{}.L1.weight", range(10, 16)),
        labels=side(tensors, "L2.gain.weight", 0, WHAT),
        condition="lookup",
        reading="first",
        statistics="kept" if "L2.stored_mean" in tensors else "instance",
    )


def _generator_table(shape: Architecture) -> Table:
    known = shapes(WHAT, lambda: Generator(shape))
    rename = _lookup_name if shape.condition == "lookup" else str
    return Table(WHAT, [Pair(rename(key), key) for key in known], {}, known)


def _lookup_name(ours: str) -> str:
    """main.9.main.1.gain -> L10.L2.gain.weight: layers are counted from 1."""
    *layers, last = ours.removeprefix("main.").split(".")
    numbers = ".".join(f"L{int(layer) + 1}" for layer in layers if layer != "main")
    renamed = {
        "gain": "gain.weight",
        "bias": "bias.weight",
        "running_mean": "stored_mean",
        "running_var": "stored_var",
    }
    return f"{numbers}.{renamed.get(last, last)}"


def _uncounted(tensors: Arrays) -> dict[str, np.ndarray]:
    return {key: value for key, value in tensors.items() if not key.endswith(COUNTED)}

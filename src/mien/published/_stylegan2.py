"""What the three StyleGAN2 layouts share: sizes read from tensors, and changes of values."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mien.errors import BadModel
from mien.generators.stylegan2 import Architecture, Critic, Discriminator, Generator
from mien.published._networks import loaded, shapes
from mien.published._table import Arrays, Pair, Table, resolutions

NETWORK = "this StyleGAN2"
GENERATOR, DISCRIMINATOR = f"{NETWORK} generator", f"{NETWORK} discriminator"


def sized(widths: Sequence[int], **options: Any) -> Architecture:
    """The Architecture with these channels at 4, 8, ... size px; `base` and `most` if they fit."""
    for name in ("z", "hidden"):
        if options.get(name) == options.get("latent"):
            options[name] = None
    most, levels = max(widths), resolutions(len(widths), NETWORK)
    narrow = [width * level for width, level in zip(widths, levels, strict=True) if width < most]
    base = narrow[0] if narrow else most * levels[-1]
    shape = Architecture(size=levels[-1], base=base, most=most, **options)
    return shape if shape.channels == list(widths) else replace(shape, widths=tuple(widths))


def generator_table(shape: Architecture, pairs: list[Pair], constants: Arrays) -> Table:
    """The table of a generator of that shape."""
    return Table(GENERATOR, pairs, dict(constants), shapes(GENERATOR, lambda: Generator(shape)))


def discriminator_table(
    shape: Architecture, critic: Critic, pairs: list[Pair], constants: Arrays
) -> Table:
    """The table of a discriminator of that shape."""
    found = shapes(DISCRIMINATOR, lambda: Discriminator(shape, critic))
    return Table(DISCRIMINATOR, pairs, dict(constants), found)


def kernel(shape: Architecture, gain: float = 1.0) -> np.ndarray:
    """The resampling filter float32 [taps, taps], its sum `gain`."""
    line = np.array(shape.taps) / sum(shape.taps)
    return np.asarray(np.outer(line, line) * gain, np.float32)


def taps(tensors: Arrays, key: str) -> tuple[float, ...]:
    """The filter's weights in one direction, read from a stored kernel.

    Raises BadModel when it is missing or not separable.
    """
    if key not in tensors:
        raise BadModel(f"the file lacks {key}; it is incomplete or of another kind")
    plane = np.squeeze(np.asarray(tensors[key], np.float64))
    square = plane.ndim == 2 and plane.shape[0] == plane.shape[1] and plane.sum() > 0
    if not square or not np.allclose(
        plane * plane.sum(), np.outer(plane.sum(1), plane.sum(0)), atol=1e-5
    ):
        raise BadModel(f"{key} is not a separable filter, so this model is of another kind")
    line = plane.sum(1)
    unit = np.abs(line[line != 0]).min()  # so that the usual filter reads 1, 3, 3, 1
    return tuple(round(float(value), 4) for value in line / unit)


def seeded_noise(key: str) -> Any:
    """Normal noise of any shape that depends on `key` alone, for files without noise maps."""

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        return np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)

    return draw


def load_generator(ours: Arrays, shape: Architecture) -> Generator:
    """A generator with these tensors under our keys, ready to run.

    Without "average" among them, it becomes the mean of mapped samples.
    """
    generator = loaded(Generator(shape), {"average": np.zeros(shape.latent, np.float32), **ours})
    if "average" not in ours:
        generator.estimate_average()
    return generator

"""What the layouts of PGGAN and StyleGAN share: sizes read from tensors, changes of values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mien.errors import BadModel
from mien.generators._progressive import Critic, Discriminator, Sizes
from mien.published._networks import opening, shapes
from mien.published._pairs import blur_kernel, both, flip
from mien.published._table import Arrays, Options, Pair, Table, count, resolutions, side

ROOT = np.float32(np.sqrt(2))
AUTO = 128  # px from which fused_scale="auto" fuses


def sized(widths: Sequence[int], what: str, first: int = 4) -> dict[str, int]:
    """size, base and most of channels at resolutions `first`, twice that, ...

    Raises BadModel when they do not follow min(base // resolution, most).
    """
    levels = resolutions(len(widths), what, first)
    if len(widths) < 2 or levels[-1] < 8:
        raise BadModel(f"{what} has {len(widths)} resolutions, expected 8 px or more")
    base = max(width * level for width, level in zip(widths, levels, strict=True))
    found = Sizes(levels[-1], base, max(widths))
    if [found.channels_at(level) for level in levels] != list(widths):
        raise BadModel(f"{what} has channels {list(widths)}, which no published model has")
    return {"size": found.size, "base": found.base, "most": found.most}


def fused(options: Options, level: int, default: bool | str) -> bool:
    """Whether the layer at `level` px is stored as a transposed convolution."""
    choice = options.get("fused_scale", default)
    return level >= AUTO if choice == "auto" else bool(choice)


def squash(options: Options) -> str | None:
    """The Architecture's option for the constructor's final_tanh."""
    return "tanh" if options.get("final_tanh") else None


def rectified(theirs: str, ours: str) -> Pair:
    """A bias behind whose layer we scale by sqrt(2), where the original scales the weights."""
    return Pair(theirs, ours, lambda a: a / ROOT, lambda a: a * ROOT)


def swapped(array: np.ndarray) -> np.ndarray:
    """A transposed convolution's [I, O, 3, 3] as a convolution's [O, I, 3, 3], and back."""
    return flip(array.swapaxes(0, 1))


def from_hwio(array: np.ndarray) -> np.ndarray:
    """A transposed convolution's [3, 3, I, O] -> a convolution's [O, I, 3, 3]."""
    return flip(array.transpose(3, 2, 0, 1))


def to_hwio(array: np.ndarray) -> np.ndarray:
    """The reverse of `from_hwio`."""
    return flip(array).transpose(2, 3, 1, 0)


def discriminator_to_ours(
    tensors: Arrays, options: Options | None = None
) -> tuple[dict[str, np.ndarray], Sizes, Critic]:
    """(tensors under our keys, sizes, critic) of a genforce discriminator's state dict.

    options: keyword arguments of the original constructor, of which
    minibatch_std_group_size, PGGAN's fused_scale and StyleGAN's label_size 1 cannot be
    told from the tensors.
    Raises BadModel naming a key that is missing, unexpected or of another shape.
    """
    sizes, critic = _discriminator_shape(tensors, options or {})
    return _discriminator_table(sizes, critic).to_ours(tensors), sizes, critic


def discriminator_from_ours(tensors: Arrays, sizes: Sizes, critic: Critic) -> dict[str, np.ndarray]:
    """The discriminator's state dict."""
    return _discriminator_table(sizes, critic).to_theirs(tensors)


open_discriminator = opening(discriminator_to_ours, Discriminator)


def _discriminator_shape(tensors: Arrays, options: Options) -> tuple[Sizes, Critic]:
    smooth = "layer1.blur.kernel" in tensors
    what = _discriminator(smooth)
    layers = count(tensors, "layer{}.bias", range(64))
    if layers < 5 or layers % 2 == 0:
        raise BadModel(f"{what} lacks layer{layers}.bias; the file is incomplete")
    widths = [side(tensors, f"input{n}.bias", 0, what) for n in range(layers // 2)]
    hidden = side(tensors, f"layer{layers - 2}.bias", 0, what)
    scores = side(tensors, f"layer{layers - 1}.bias", 0, what)
    critic = Critic(
        smooth=smooth,
        early=not smooth and fused(options, 0, False),
        group=options.get("minibatch_std_group_size", 4 if smooth else 16),
        deviations=side(tensors, f"layer{layers - 3}.weight", 1, what) - widths[-1],
        labels=options.get("label_size", 0 if smooth and scores == 1 else scores - (not smooth)),
    )
    return Sizes(**sized([hidden, *widths[::-1]], what, first=2)), critic


def _discriminator_table(sizes: Sizes, critic: Critic) -> Table:
    blocks = len(sizes.levels) - 1
    names = {f"input{n}": f"colours.{n}" for n in range(blocks + 1)}
    for n in range(blocks):
        names |= {f"layer{2 * n}": f"blocks.{n}.first", f"layer{2 * n + 1}": f"blocks.{n}.second"}
    names |= {f"layer{2 * blocks}": "last", f"layer{2 * blocks + 2}": "score"}
    hidden = f"layer{2 * blocks + 1}"
    pairs = [Pair("lod", "lod"), *both(names)]
    pairs += [Pair(f"{hidden}.weight", "hidden.weight")]
    pairs += [rectified(f"{hidden}.bias", "hidden.bias")]
    widths = sizes.channels[::-1] if critic.smooth else []
    constants = {
        f"layer{2 * n + 1}.blur.kernel": blur_kernel(width) for n, width in enumerate(widths[:-1])
    }
    what = _discriminator(critic.smooth)
    return Table(what, pairs, constants, shapes(what, lambda: Discriminator(sizes, critic)))


def _discriminator(smooth: bool) -> str:
    """For messages; StyleGAN's blurs before it halves."""
    return f"this {'StyleGAN' if smooth else 'PGGAN'} discriminator"

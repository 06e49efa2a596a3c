"""What the layouts of PGGAN and StyleGAN share: sizes read from tensors, changes of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from mien.errors import BadModel
from mien.generators._progressive import Critic, Discriminator, Sizes
from mien.published._table import Arrays, Pair, Table, count, side

Network = TypeVar("Network", bound=nn.Module)
Options = Mapping[str, Any]
ROOT = np.float32(np.sqrt(2))
AUTO = 128  # px from which fused_scale="auto" fuses


def sized(widths: Sequence[int], what: str, first: int = 4) -> dict[str, int]:
    """size, base and most of channels at resolutions `first`, twice that, ...

    Raises BadModel when they do not follow min(base // resolution, most).
    """
    levels = [first * 2**n for n in range(len(widths))]
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


def both(names: Mapping[str, str]) -> list[Pair]:
    """Pairs of weight and bias."""
    parts = ("weight", "bias")
    return [Pair(f"{a}.{part}", f"{b}.{part}") for a, b in names.items() for part in parts]


def rectified(theirs: str, ours: str) -> Pair:
    """A bias behind whose layer we scale by sqrt(2), where the original scales the weights."""
    return Pair(theirs, ours, lambda a: a / ROOT, lambda a: a * ROOT)


def flip(array: np.ndarray) -> np.ndarray:
    """A transposed convolution's [O, I, 3, 3] as that of a convolution, and back."""
    return array[..., ::-1, ::-1]


def swapped(array: np.ndarray) -> np.ndarray:
    """A transposed convolution's [I, O, 3, 3] as a convolution's [O, I, 3, 3], and back."""
    return flip(array.swapaxes(0, 1))


def from_hwio(array: np.ndarray) -> np.ndarray:
    """A transposed convolution's [3, 3, I, O] -> a convolution's [O, I, 3, 3]."""
    return flip(array.transpose(3, 2, 0, 1))


def to_hwio(array: np.ndarray) -> np.ndarray:
    """The reverse of `from_hwio`."""
    return flip(array).transpose(2, 3, 1, 0)


def plane(array: np.ndarray) -> np.ndarray:
    """[1, 1, s, s] -> [s, s]."""
    return np.asarray(array[0, 0])


def lifted(array: np.ndarray) -> np.ndarray:
    """[s, s] -> [1, 1, s, s]."""
    return array[None, None]


def blur_kernel(channels: int) -> np.ndarray:
    """[1, 2, 1] x [1, 2, 1] / 16 for each channel, float32 [C, 1, 3, 3]."""
    line = np.array([0.25, 0.5, 0.25], np.float32)
    return np.broadcast_to(np.outer(line, line), (channels, 1, 3, 3)).copy()


def discriminator_to_ours(
    tensors: Arrays, options: Options, what: str
) -> tuple[dict[str, np.ndarray], Sizes, Critic]:
    """(tensors under our keys, sizes, critic) of a genforce discriminator's state dict."""
    smooth = "layer1.blur.kernel" in tensors
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
    sizes = Sizes(**sized([hidden, *widths[::-1]], what, first=2))
    return discriminator_table(sizes, critic, what).to_ours(tensors), sizes, critic


def discriminator_table(sizes: Sizes, critic: Critic, what: str) -> Table:
    """The table of a genforce discriminator."""
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
    return Table(what, pairs, constants, shapes(Discriminator(sizes, critic)))


def loaded(module: Network, ours: Arrays) -> Network:
    """The network with these tensors under our keys, ready to run."""
    module.load_state_dict({key: torch.from_numpy(value) for key, value in ours.items()})
    return module.eval()


def shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Shapes of a module's tensors by key (the meta device would import far more than it saves)."""
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}

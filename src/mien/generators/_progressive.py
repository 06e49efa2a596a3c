"""What PGGAN and StyleGAN share: sizes, pictures at a level of detail, the discriminator.

Karras et al., "Progressive Growing of GANs" (ICLR 2018), sections 2 and 3.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import islice, pairwise

import torch
import torch.nn.functional as F
from torch import nn

from mien.errors import BadInput
from mien.generators._sizes import resolutions
from mien.generators.layers.equalised import Linear, activate
from mien.generators.layers.labels import given
from mien.generators.layers.resized import Conv, Halving, blur, rectify
from mien.generators.layers.statistics import append_deviation


@dataclass(frozen=True)
class Sizes:
    """Resolution and channels of a network that grew; saved in the card."""

    size: int = 128  # px, a power of two from 8
    base: int = 16384  # channels at resolution r are min(base // r, most)
    most: int = 512

    def __post_init__(self) -> None:
        resolutions(self.size)  # raises
        if self.channels_at(self.size) < 1:
            raise BadInput(f"base is {self.base}, expected at least the size, {self.size}")

    @property
    def levels(self) -> list[int]:
        """Resolutions 4, 8, ... size."""
        return resolutions(self.size)

    @property
    def channels(self) -> list[int]:
        """Channels at each level."""
        return [self.channels_at(level) for level in self.levels]

    def channels_at(self, resolution: int) -> int:
        """Channels at a resolution."""
        return min(self.base // resolution, self.most)


@dataclass(frozen=True)
class Shown(Sizes):
    """Sizes of a generator, and how it shows its pictures."""

    _: KW_ONLY
    squash: str | None = None  # of the picture: "tanh", or None
    fade: bool = True  # a fraction of lod blends two levels; False takes the coarser one

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.squash not in (None, "tanh"):
            raise BadInput(f'squash is {self.squash!r}, expected "tanh" or None')


@dataclass(frozen=True)
class Critic:
    """What a discriminator has beyond its Sizes."""

    smooth: bool = False  # blur before halving, and halve before the rectifier (StyleGAN)
    early: bool = False  # halve before the rectifier without blur (PGGAN's "fused scale")
    group: int = 4  # faces over which the deviation is taken
    deviations: int = 1  # feature maps of deviations; 0 = none
    labels: int = 0  # classes; PGGAN scores them apart, StyleGAN multiplies by them


def detail(stored: torch.Tensor, asked: float | None, levels: int) -> float:
    """The level of detail to show: 0 is the full size, 1 half of it, ...

    Raises BadInput unless it lies between 0 and `levels` - 1.
    """
    lod = float(stored) if asked is None else float(asked)
    if not 0 <= lod <= levels - 1:
        raise BadInput(f"lod is {lod:g}, expected 0 to {levels - 1} for this model")
    return lod


def picture(
    features: Iterable[torch.Tensor], heads: Iterable[Callable[[torch.Tensor], torch.Tensor]],
    lod: float, count: int,
) -> torch.Tensor:  # fmt: skip
    """The picture [N, 3, size, size] that `count` levels of features and heads show at `lod`.

    A fraction blends the picture of the finer level with that of the coarser
    one; what is smaller than the full size is enlarged by repetition. Levels
    that are not shown are not asked for.
    """
    whole, part = math.floor(lod), lod - math.floor(lod)
    finest = count - 1 - whole
    last = deque(islice(zip(features, heads, strict=False), finest + 1), maxlen=2)
    x, head = last[-1]
    shown = head(x)
    if part:
        x, head = last[0]
        shown = torch.lerp(shown, enlarge(head(x), 2), part)
    return enlarge(shown, 2**whole)


def steps(widths: Sequence[int]) -> Iterator[tuple[int, int, bool]]:
    """(inputs, outputs, whether it doubles) of each layer of a generator, two a level."""
    for level, outputs in enumerate(widths):
        yield widths[max(level - 1, 0)], outputs, level > 0
        yield outputs, outputs, False


class Head(nn.Module):
    """Features to a picture; `before` is done to the features first."""

    def __init__(self, inputs: int, before: Callable[[torch.Tensor], torch.Tensor] | None) -> None:
        super().__init__()
        self.conv = Conv(inputs, 3, 1, gain=1.0)
        self.before = before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> fp32 [N, 3, H, W]."""
        shown: torch.Tensor = self.conv(x if self.before is None else self.before(x)).float()
        return shown


class Grown(nn.Module):
    """A generator's layers, a head a level, and the stored level of detail."""

    def __init__(
        self, shape: Shown, layers: Iterable[nn.Module],
        before: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.shape = shape
        self.layers = nn.ModuleList(layers)
        self.heads = nn.ModuleList(Head(width, before) for width in shape.channels)
        self.register_buffer("lod", torch.zeros(()))
        self.lod: torch.Tensor

    def shown(self, features: Iterable[torch.Tensor], lod: float | None) -> torch.Tensor:
        """The picture [N, 3, size, size] of features coarse to fine; None takes the stored lod."""
        lod = detail(self.lod, lod, len(self.heads))
        if not self.shape.fade:
            lod = float(math.ceil(lod))
        shown = picture(features, self.heads, lod, len(self.heads))
        return shown if self.shape.squash is None else shown.tanh()


def enlarge(x: torch.Tensor, factor: int) -> torch.Tensor:
    """Each pixel repeated `factor` times in both directions."""
    return x if factor == 1 else F.interpolate(x, scale_factor=float(factor), mode="nearest")


class Block(nn.Module):
    """Two convolutions, the second of which halves the size."""

    def __init__(self, inputs: int, outputs: int, critic: Critic) -> None:
        super().__init__()
        self.first = Conv(inputs, inputs)
        self.late = not (critic.smooth or critic.early)
        self.second = (Conv if self.late else Halving)(inputs, outputs)
        self.smooth = critic.smooth

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, inputs, H, W] -> [N, outputs, H/2, W/2]."""
        x = rectify(self.first(x))
        x = rectify(self.second(blur(x) if self.smooth else x))
        return F.avg_pool2d(x, 2) if self.late else x


class Discriminator(nn.Module):
    """Faces [N, 3, size, size] in [-1, 1] to logits [N, 1], positive for real ones.

    Halved at each level; the level of detail enters the picture where the
    generator's leaves, and blends in the same way.
    """

    def __init__(self, sizes: Sizes, critic: Critic | None = None) -> None:
        super().__init__()
        self.critic = critic or Critic()
        widths = sizes.channels[::-1]
        self.colours = nn.ModuleList(Conv(3, width, 1) for width in widths)
        self.blocks = nn.ModuleList(Block(a, b, self.critic) for a, b in pairwise(widths))
        self.last = Conv(widths[-1] + self.critic.deviations, widths[-1])
        self.hidden = Linear(16 * widths[-1], sizes.channels_at(2))
        multiplied = max(self.critic.labels, 1)
        self.score = Linear(
            sizes.channels_at(2), multiplied if self.critic.smooth else 1 + self.critic.labels
        )
        self.register_buffer("lod", torch.zeros(()))
        self.lod: torch.Tensor

    def forward(
        self, faces: torch.Tensor, lod: float | None = None, labels: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits in fp32 [N, 1].

        A PGGAN with labels gives [N, 1 + classes], the class scores behind the
        logit; a StyleGAN with labels takes them [N, classes].
        """
        x = self.features(faces, detail(self.lod, lod, len(self.colours)))
        if self.critic.deviations:
            x = append_deviation(x, self.critic.group, self.critic.deviations)
        x = rectify(self.last(x)).flatten(1)
        scores: torch.Tensor = self.score(activate(self.hidden(x)))
        if not (self.critic.smooth and self.critic.labels):
            return scores
        return (scores * given(labels)).sum(1, keepdim=True)

    def features(self, faces: torch.Tensor, lod: float) -> torch.Tensor:
        """Faces -> [N, C, 4, 4], what the deviation is taken of."""
        whole, part = math.floor(lod), lod - math.floor(lod)
        faces = faces.contiguous(memory_format=torch.channels_last)
        faces = F.avg_pool2d(faces, 2**whole) if whole else faces
        x = rectify(self.colours[whole](faces))
        for level in range(whole, len(self.blocks)):
            x = self.blocks[level](x)
            if part and level == whole:
                coarse = rectify(self.colours[level + 1](F.avg_pool2d(faces, 2)))
                x = torch.lerp(x, coarse, part)
        return x

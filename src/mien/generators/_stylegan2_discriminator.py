"""StyleGAN2's discriminator: faces to one logit each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from mien.errors import BadInput
from mien.generators._stylegan2_synthesis import FORMS, HALF, Architecture
from mien.generators.layers.equalised import GAIN, Conv, Linear, activate
from mien.generators.layers.resample import Filter
from mien.generators.layers.statistics import append_deviation


@dataclass(frozen=True)
class Critic:
    """What a discriminator has beyond the sizes in its Architecture."""

    form: str = "resnet"  # "resnet", "skip" or "orig" as in the paper's figure 7
    group: int = 4  # faces over which the deviation is taken
    deviations: int = 1  # feature maps of deviations

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise BadInput(f"form is {self.form!r}, expected one of {', '.join(FORMS)}")


class Block(nn.Module):
    """Two convolutions that halve the size, with a shortcut in the form "resnet"."""

    def __init__(self, inputs: int, outputs: int, shape: Architecture, form: str) -> None:
        super().__init__()
        self.filter, self.clamp = Filter(shape.taps), shape.clamp
        self.first = Conv(inputs, inputs, 3)
        self.second = Conv(inputs, outputs, 3, stride=2)
        self.skip = Conv(inputs, outputs, 1, bias=False) if form == "resnet" else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, inputs, H, W] -> [N, outputs, H/2, W/2]."""
        y = activate(self.first(x), GAIN, self.clamp)
        y = self.second(self.filter.before_strided(y))
        if self.skip is None:
            return activate(y, GAIN, self.clamp)
        limit = None if self.clamp is None else self.clamp * HALF
        aside = self.skip(self.filter.halved(x)) * HALF
        return activate(y, GAIN * HALF, limit) + _cut(aside, limit)


class Discriminator(nn.Module):
    """Faces [N, 3, size, size] in [-1, 1] to logits [N, 1], positive for real ones."""

    def __init__(self, shape: Architecture, critic: Critic | None = None) -> None:
        super().__init__()
        self.shape, self.critic = shape, critic or Critic()
        self.filter = Filter(shape.taps)
        widths = list(reversed(shape.channels))
        coloured = widths if self.critic.form == "skip" else widths[:1]
        self.colours = nn.ModuleList(Conv(3, width, 1) for width in coloured)
        self.blocks = nn.ModuleList(
            Block(before, after, shape, self.critic.form) for before, after in pairwise(widths)
        )
        self.last = Conv(widths[-1] + self.critic.deviations, widths[-1], 3)
        self.hidden = Linear(widths[-1] * 16, widths[-1])
        self.score = Linear(widths[-1], 1)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """Logits in fp32."""
        x = append_deviation(self.features(faces), self.critic.group, self.critic.deviations)
        x = activate(self.last(x), GAIN, self.shape.clamp)
        logits: torch.Tensor = self.score(activate(self.hidden(x.flatten(1))))
        return logits

    def features(self, faces: torch.Tensor) -> torch.Tensor:
        """Faces -> [N, C, 4, 4], what the deviation is taken of."""
        faces = faces.contiguous(memory_format=torch.channels_last)
        x = self._colour(faces, 0)
        for number, block in enumerate(self.blocks, 1):
            x = block(x)
            if self.critic.form == "skip":
                faces = self.filter.halved(faces)
                x = x + self._colour(faces, number)
        return x

    def _colour(self, faces: torch.Tensor, number: int) -> torch.Tensor:
        return activate(self.colours[number](faces), GAIN, self.shape.clamp)


def _cut(x: torch.Tensor, limit: float | None) -> torch.Tensor:
    return x if limit is None else x.clamp(-limit, limit)

"""StyleGAN2's discriminator: faces to one logit each."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import nn

from mien.generators._stylegan2_shape import Architecture, Critic
from mien.generators._stylegan2_synthesis import HALF
from mien.generators.layers.equalised import GAIN, Conv, Linear, activate
from mien.generators.layers.labels import given
from mien.generators.layers.mapping import Mapping
from mien.generators.layers.resample import Filter
from mien.generators.layers.statistics import append_deviation


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
        aside: torch.Tensor = self.skip(self.filter.halved(x)) * HALF
        return activate(y, GAIN * HALF, limit) + aside


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
        hidden = self.critic.hidden or widths[-1]
        self.hidden = Linear(widths[-1] * 16, hidden)
        self.mapping = _label_mapping(self.critic, widths[-1], shape)
        scores = self.critic.mapped or widths[-1] if self.mapping else max(shape.labels, 1)
        self.score = Linear(hidden, scores)

    def forward(self, faces: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Logits in fp32; labels [N, classes] for a conditional model."""
        x = self.features(faces)
        if self.critic.deviations:
            x = append_deviation(x, self.critic.group or len(x), self.critic.deviations)
        x = activate(self.last(x), GAIN, self.shape.clamp)
        return self._agreement(self.score(activate(self.hidden(x.flatten(1)))), labels)

    def _agreement(self, scores: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        if not self.shape.labels:
            return scores
        if self.mapping is None:
            return (scores * given(labels)).sum(1, keepdim=True)
        mapped: torch.Tensor = self.mapping(None, labels)
        return (scores * mapped).sum(1, keepdim=True) / math.sqrt(mapped.shape[1])

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
        clamp = None if number == len(self.blocks) else self.shape.clamp
        x: torch.Tensor = self.colours[number](faces)
        return activate(x, GAIN, clamp)


def _label_mapping(critic: Critic, width: int, shape: Architecture) -> Mapping | None:
    if not (shape.labels and critic.mapping):
        return None
    widths = [0, *[critic.mapped or width] * critic.mapping]
    return Mapping(widths, shape.rate, shape.labels)

"""StyleGAN2's synthesis network: w+ latents to faces."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import nn

from mien.generators._stylegan2_shape import Architecture
from mien.generators.layers.equalised import GAIN, Conv, activate
from mien.generators.layers.finish import Finish
from mien.generators.layers.modulated import Modulated
from mien.generators.layers.noise import Noise, a_layer, drawn
from mien.generators.layers.resample import Filter
from mien.runtime import engine

HALF = math.sqrt(0.5)  # gain of either branch of a residual sum


class Layer(nn.Module):
    """Modulated convolution, noise, bias, leaky rectifier."""

    def __init__(
        self, inputs: int, outputs: int, level: int, shape: Architecture, up: Filter | None
    ) -> None:
        super().__init__()
        self.conv = Modulated(inputs, outputs, 3, shape.latent, up)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.clamp, self.noisy = shape.clamp, shape.noise
        if shape.noise:
            self.strength = nn.Parameter(torch.zeros(()))
            self.register_buffer("noise", torch.randn(level, level))
            self.noise: torch.Tensor

    def forward(
        self, x: torch.Tensor, w: torch.Tensor, noise: str | torch.Tensor, gain: float = 1.0
    ) -> torch.Tensor:
        """Features, w [N, D] and a noise map (broadcast to [N, 1, level, level]) -> features."""
        limit = None if self.clamp is None else self.clamp * gain
        added = self._map(noise, len(x))
        if not (torch.is_grad_enabled() or self.training or engine.is_reading()):
            return self._infer(x, w, added, GAIN * gain, limit)
        x = self.conv(x, w, self.bias)
        if added is not None:
            x = x + added.to(x.dtype)
        return activate(x, GAIN * gain, limit)

    def _infer(
        self, x: torch.Tensor, w: torch.Tensor, added: torch.Tensor | None, gain: float,
        limit: float | None,
    ) -> torch.Tensor:  # fmt: skip
        conv = self.conv
        styles = conv.style(w)
        scale = torch.rsqrt(styles.square() @ conv.power().t() + 1e-8) * gain
        noise = None if added is None else (added * gain).reshape(-1, *added.shape[-2:]).to(x.dtype)
        finish = Finish(scale.to(x.dtype), (self.bias * gain).to(x.dtype), noise, limit)
        out: torch.Tensor = conv.infer(x, styles.to(x.dtype), finish)
        return out

    def _map(self, noise: str | torch.Tensor, count: int) -> torch.Tensor | None:
        values = drawn(noise, self.noise, count) if self.noisy else None
        return None if values is None else values * self.strength


class Colour(nn.Module):
    """Features to a picture: a modulated 1x1 convolution without demodulation."""

    def __init__(self, inputs: int, shape: Architecture) -> None:
        super().__init__()
        self.conv = Modulated(inputs, 3, 1, shape.latent, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(3))
        self.clamp = shape.clamp

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> fp32 [N, 3, H, W]."""
        picture: torch.Tensor = self._picture(x, w).float() + self.bias[:, None, None]
        return picture if self.clamp is None else picture.clamp(-self.clamp, self.clamp)

    def _picture(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled() or self.training or engine.is_reading():
            out: torch.Tensor = self.conv(x, w)
            return out
        rows = x.permute(0, 2, 3, 1)  # [N, H, W, C], dense already
        weight = self.conv.weight[:, :, 0, 0].t() * self.conv.scale
        scaled = self.conv.style(w)[:, :, None] * weight  # [N, C, 3]
        flat: torch.Tensor = rows.flatten(1, 2) @ scaled.to(x.dtype)
        out = flat.view(*rows.shape[:3], 3)
        return out.permute(0, 3, 1, 2)


class Synthesis(nn.Module):
    """w+ latents [N, L, D] to faces [N, 3, size, size], not clipped."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.shape = shape
        self.filter = Filter(shape.taps)
        widths = shape.channels
        self.constant = nn.Parameter(torch.randn(widths[0], 4, 4))
        layers = [Layer(widths[0], widths[0], 4, shape, None)]
        for level, (before, after) in zip(shape.levels[1:], pairwise(widths), strict=True):
            layers += [Layer(before, after, level, shape, self.filter)]
            layers += [Layer(after, after, level, shape, None)]
        self.layers = nn.ModuleList(layers)
        coloured = widths if shape.form == "skip" else widths[-1:]
        self.colours = nn.ModuleList(Colour(width, shape) for width in coloured)
        if shape.form == "resnet":
            self.skips = nn.ModuleList(Conv(a, b, 1, bias=False) for a, b in pairwise(widths))

    def forward(self, styles: torch.Tensor, noise: Noise = "stored") -> torch.Tensor:
        """Faces of w+ latents.

        noise: "stored" (the model's own maps), "random", "none", or one map
        [1 or N, 1, r, r] a layer (2 log2(size) - 3 of them).
        """
        *_, (_, picture) = self.trace(styles, noise)
        assert picture is not None  # the last level always has one
        return picture

    def trace(
        self, styles: torch.Tensor, noise: Noise = "stored"
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
        """Features and picture at each level, coarse to fine."""
        maps = a_layer(noise, len(self.layers))
        x = self._start(len(styles), styles.device.type)
        picture = None
        for number in range(len(self.shape.levels)):
            x = self._level(x, styles, maps, number)
            picture = self._picture(x, styles, picture, number)
            yield x, picture

    def _start(self, count: int, device: str) -> torch.Tensor:
        x = self.constant.expand(count, -1, -1, -1)
        if torch.is_autocast_enabled(device):
            x = x.to(torch.get_autocast_dtype(device))
        return x.contiguous(memory_format=torch.channels_last)

    def _level(
        self, x: torch.Tensor, styles: torch.Tensor, maps: Sequence[str | torch.Tensor], level: int
    ) -> torch.Tensor:
        if level == 0:
            out: torch.Tensor = self.layers[0](x, styles[:, 0], maps[0])
            return out
        first, second = 2 * level - 1, 2 * level
        residual = self.shape.form == "resnet"
        aside = self._aside(x, level) if residual else None
        x = self.layers[first](x, styles[:, first], maps[first])
        x = self.layers[second](x, styles[:, second], maps[second], HALF if residual else 1.0)
        return x if aside is None else x + aside

    def _aside(self, x: torch.Tensor, level: int) -> torch.Tensor:
        return self.filter.doubled(self.skips[level - 1](x)) * HALF

    def _picture(
        self, x: torch.Tensor, styles: torch.Tensor, before: torch.Tensor | None, level: int
    ) -> torch.Tensor | None:
        last = level == len(self.shape.levels) - 1
        if self.shape.form != "skip" and not last:
            return None
        colour = self.colours[level if self.shape.form == "skip" else 0]
        picture: torch.Tensor = colour(x, styles[:, 2 * level + 1])
        return picture if before is None else picture + self.filter.doubled(before)

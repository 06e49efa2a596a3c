"""StyleGAN's synthesis network: w+ latents to faces."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from mien.errors import BadInput
from mien.generators._progressive import Sizes, detail, picture
from mien.generators.layers.adain import finish
from mien.generators.layers.equalised import Linear
from mien.generators.layers.resized import Conv, Doubling, blur

Noise = str | Sequence[torch.Tensor]


@dataclass(frozen=True)
class Architecture(Sizes):
    """Sizes of the generator; saved in the card, rebuilds it."""

    latent: int = 512  # D, of w
    layers: int = 8  # of the mapping
    z: int | None = None  # width of z where it is not that of w
    hidden: int | None = None  # width of the mapping where it is not that of w
    rate: float = 0.01  # learning rate multiplier of the mapping
    labels: int = 0  # classes, for conditional models
    squash: str | None = None  # of the picture: "tanh", or None
    fade: bool = True  # a fraction of lod blends two levels; False takes the coarser one

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.squash not in (None, "tanh"):
            raise BadInput(f'squash is {self.squash!r}, expected "tanh" or None')

    @property
    def styles(self) -> int:
        """L: rows of a w+ latent, 2 log2(size) - 2."""
        return 2 * len(self.levels)

    @property
    def mapping(self) -> list[int]:
        """Widths of z and of each mapping layer's output."""
        inner = [self.hidden or self.latent] * (self.layers - 1)
        return [self.latent if self.z is None else self.z, *inner, self.latent]


class Style(Linear):
    """w [N, D] to scales less 1 and shifts of C channels, fp32 [N, 2C]."""

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        """The input is scaled, being smaller than the weight."""
        with torch.autocast(w.device.type, enabled=False):
            return torch.addmm(self.bias, w.to(self.weight.dtype) * self.scale, self.weight.t())


class Layer(nn.Module):
    """A convolution (none in the first layer), then noise, rectifier, normalisation, style.

    kind: "constant" (a learned start instead of a convolution), "doubling" (which is
    followed by a blur) or "same".
    """

    def __init__(self, kind: str, widths: tuple[int, int], level: int, latent: int) -> None:
        super().__init__()
        inputs, outputs = widths
        self.kind, self.level = kind, level
        if kind == "constant":
            self.constant = nn.Parameter(torch.ones(outputs, level, level))
        else:
            self.conv = (Doubling if kind == "doubling" else Conv)(inputs, outputs, bias=False)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.strength = nn.Parameter(torch.zeros(outputs))
        self.style = Style(latent, 2 * outputs)
        self.register_buffer("noise", torch.randn(level, level))
        self.noise: torch.Tensor

    def forward(
        self, x: torch.Tensor | None, w: torch.Tensor, noise: str | torch.Tensor
    ) -> torch.Tensor:
        """Features, w [N, D] and a noise map (broadcast to [N, 1, level, level]) -> features."""
        x = self._convolved(x, len(w))
        return finish(x, self._map(noise, x), self.strength, self.style(w))

    def _convolved(self, x: torch.Tensor | None, count: int) -> torch.Tensor:
        if x is None:
            start = self.constant + self.bias[:, None, None]
            return start.expand(count, -1, -1, -1).contiguous(memory_format=torch.channels_last)
        if isinstance(self.conv, Doubling):
            return blur(self.conv.ringed(x), self.bias, ringed=True)
        convolved: torch.Tensor = self.conv(x, self.bias)
        return convolved

    def _map(self, noise: str | torch.Tensor, x: torch.Tensor) -> torch.Tensor | None:
        if isinstance(noise, torch.Tensor):
            return noise
        if noise == "none":
            return None
        if noise == "stored":
            return self.noise[None, None]
        return torch.randn(len(x), 1, self.level, self.level, device=x.device)


class Head(nn.Module):
    """Features to a picture."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv = Conv(inputs, 3, 1, gain=1.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> fp32 [N, 3, H, W]."""
        shown: torch.Tensor = self.conv(x).float()
        return shown


class Synthesis(nn.Module):
    """w+ latents [N, L, D] to faces [N, 3, size, size], not clipped."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.shape = shape
        widths = shape.channels
        layers = []
        for number in range(shape.styles):
            level = number // 2
            doubling = number % 2 == 0
            kind = "constant" if number == 0 else "doubling" if doubling else "same"
            before = widths[max(level - 1, 0)] if doubling else widths[level]
            layers += [Layer(kind, (before, widths[level]), shape.levels[level], shape.latent)]
        self.layers = nn.ModuleList(layers)
        self.heads = nn.ModuleList(Head(width) for width in widths)
        self.register_buffer("lod", torch.zeros(()))
        self.lod: torch.Tensor

    def forward(
        self, styles: torch.Tensor, noise: Noise = "stored", lod: float | None = None
    ) -> torch.Tensor:
        """Faces of w+ latents.

        noise: "stored" (the model's own maps), "random", "none", or one map
        [1 or N, 1, r, r] a layer (2 log2(size) - 2 of them). lod: level of detail,
        0 the full size, 1 half of it (enlarged), ...; None takes the stored one.
        """
        lod = detail(self.lod, lod, len(self.heads))
        if not self.shape.fade:
            lod = float(math.ceil(lod))
        shown = picture(self.trace(styles, noise), self.heads, lod, len(self.heads))
        return shown if self.shape.squash is None else shown.tanh()

    def trace(self, styles: torch.Tensor, noise: Noise = "stored") -> Iterator[torch.Tensor]:
        """Features at each level, coarse to fine."""
        if styles.shape[1:] != (self.shape.styles, self.shape.latent):
            wanted = f"[N, {self.shape.styles}, {self.shape.latent}]"
            raise BadInput(f"w+ latents have shape {list(styles.shape)}, expected {wanted}")
        maps = self._maps(noise)
        x = None
        for number, layer in enumerate(self.layers):
            x = layer(x, styles[:, number], maps[number])
            if number % 2:
                yield x

    def style_weights(self) -> list[torch.Tensor]:
        """The matrix [2C, D] that reads each row of a w+ latent."""
        return [layer.style.weight for layer in self.layers if isinstance(layer, Layer)]

    def _maps(self, noise: Noise) -> Sequence[str | torch.Tensor]:
        if not isinstance(noise, str):
            if len(noise) != len(self.layers):
                raise BadInput(f"got {len(noise)} noise maps, this model has {len(self.layers)}")
            return noise
        if noise not in ("stored", "random", "none"):
            raise BadInput(f'noise is {noise!r}, expected "stored", "random", "none" or maps')
        return [noise] * len(self.layers)

"""StyleGAN's synthesis network: w+ latents to faces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from mien.errors import BadInput
from mien.generators._progressive import Grown, Shown, steps
from mien.generators._sizes import Styled
from mien.generators.layers.adain import finish
from mien.generators.layers.equalised import Linear
from mien.generators.layers.noise import Noise, a_layer, drawn
from mien.generators.layers.resized import Conv, Doubling, blur
from mien.runtime import engine


@dataclass(frozen=True)
class Architecture(Shown, Styled):
    """Sizes of the generator; saved in the card, rebuilds it."""

    latent: int = 512  # D, of w
    layers: int = 8  # of the mapping
    z: int | None = None  # width of z where it is not that of w
    hidden: int | None = None  # width of the mapping where it is not that of w
    rate: float = 0.01  # learning rate multiplier of the mapping
    labels: int = 0  # classes, for conditional models


class Style(Linear):
    """w [N, D] to scales less 1 and shifts of C channels, fp32 [N, 2C].

    While another engine reads the network: [N, 2C, 1, 1], see Linear.maps.
    """

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        """The input is scaled, being smaller than the weight."""
        if engine.is_reading():
            return self.maps(w)
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
        return finish(x, drawn(noise, self.noise, len(x)), self.strength, self.style(w))

    def _convolved(self, x: torch.Tensor | None, count: int) -> torch.Tensor:
        if x is None:
            start = self.constant + self.bias[:, None, None]
            return start.expand(count, -1, -1, -1).contiguous(memory_format=torch.channels_last)
        if isinstance(self.conv, Doubling):
            if engine.is_reading():
                return blur(self.conv(x), self.bias)
            return blur(self.conv.ringed(x), self.bias, ringed=True)
        convolved: torch.Tensor = self.conv(x, self.bias)
        return convolved


class Synthesis(Grown):
    """w+ latents [N, L, D] to faces [N, 3, size, size], not clipped."""

    shape: Architecture

    def __init__(self, shape: Architecture) -> None:
        layers = []
        for number, (inputs, outputs, doubling) in enumerate(steps(shape.channels)):
            kind = "constant" if number == 0 else "doubling" if doubling else "same"
            layers += [Layer(kind, (inputs, outputs), shape.levels[number // 2], shape.latent)]
        super().__init__(shape, layers)

    def forward(
        self, styles: torch.Tensor, noise: Noise = "stored", lod: float | None = None
    ) -> torch.Tensor:
        """Faces of w+ latents.

        noise: "stored" (the model's own maps), "random", "none", or one map
        [1 or N, 1, r, r] a layer (2 log2(size) - 2 of them). lod: level of detail,
        0 the full size, 1 half of it (enlarged), ...; None takes the stored one.
        """
        return self.shown(self.trace(styles, noise), lod)

    def trace(self, styles: torch.Tensor, noise: Noise = "stored") -> Iterator[torch.Tensor]:
        """Features at each level, coarse to fine."""
        if styles.shape[1:] != (self.shape.styles, self.shape.latent):
            wanted = f"[N, {self.shape.styles}, {self.shape.latent}]"
            raise BadInput(f"w+ latents have shape {list(styles.shape)}, expected {wanted}")
        maps = a_layer(noise, len(self.layers))
        x = None
        for number, layer in enumerate(self.layers):
            x = layer(x, styles[:, number], maps[number])
            if number % 2:
                yield x

    def style_weights(self) -> list[torch.Tensor]:
        """The matrix [2C, D] that reads each row of a w+ latent."""
        return [layer.style.weight for layer in self.layers if isinstance(layer, Layer)]

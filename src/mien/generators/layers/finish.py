"""What follows a modulated convolution at inference, in place: scale, bias, noise, rectifier."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

from mien.generators.layers.equalised import SLOPE

ALL = slice(None)


@dataclass(frozen=True)
class Finish:
    """Factors in the features' precision; the rectifier's gain is a part of each.

    scale: [N, O], of equation 3. bias: [O]. noise: [1 or N, H, W]. limit: features
    are cut to [-limit, limit].
    """

    scale: torch.Tensor
    bias: torch.Tensor
    noise: torch.Tensor | None
    limit: float | None

    def of(self, face: int) -> Finish:
        """That of one face, without the axis N."""
        noise = self.noise
        if noise is not None:
            noise = noise[face if len(noise) > 1 else 0]
        return replace(self, scale=self.scale[face], noise=noise)

    def demodulate(self, y: torch.Tensor, out: torch.Tensor) -> None:
        """out = y * scale + bias, channels last."""
        torch.addcmul(self.bias, y, self.scale, out=out)

    def rest(self, y: torch.Tensor, rows: slice = ALL) -> None:
        """Noise, rectifier and limit, in place; y [..., H, W, O], `rows` of H."""
        if self.noise is not None:
            y.add_(self.noise[..., rows, :, None])
        F.leaky_relu_(y, SLOPE)
        if self.limit is not None:
            y.clamp_(-self.limit, self.limit)

    def all_of(self, x: torch.Tensor) -> torch.Tensor:
        """[N, O, H, W], overwritten."""
        y = x.permute(0, 2, 3, 1)
        torch.addcmul(self.bias, y, self.scale[:, None, None], out=y)
        self.rest(y)
        return x

    def rest_of(self, x: torch.Tensor) -> torch.Tensor:
        """[N, O, H, W] that is scaled and biased already, overwritten."""
        self.rest(x.permute(0, 2, 3, 1))
        return x

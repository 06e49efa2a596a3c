"""What follows a convolution at inference: scale, bias, noise, rectifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F

from mien.generators.layers.equalised import SLOPE

CACHE = 2**18  # elements gone through at once, which stay in the cache between two passes


class Ending(Protocol):
    """What follows, some rows of one face at a time, channels last."""

    def write(self, face: int, y: torch.Tensor, out: torch.Tensor) -> None:
        """Write y [..., O], scaled and shifted, to `out` of the same shape."""
        ...

    def rest(self, y: torch.Tensor, face: int, rows: slice) -> None:
        """What else there is, in place, for some rows of one face [H, W, O]."""
        ...


@dataclass(frozen=True)
class Bias:
    """A bias [O], or nothing."""

    bias: torch.Tensor | None

    def write(self, face: int, y: torch.Tensor, out: torch.Tensor) -> None:
        """out = y + bias."""
        if self.bias is None:
            out.copy_(y)
        else:
            torch.add(y, self.bias, out=out)

    def rest(self, y: torch.Tensor, face: int, rows: slice) -> None:
        """Nothing more."""


@dataclass(frozen=True)
class Finish:
    """Factors behind a modulated convolution, in its precision; the rectifier's gain is in each.

    scale: [N, O], of equation 3. bias: [O]. noise: [1 or N, H, W]. limit: features
    are cut to [-limit, limit].
    """

    scale: torch.Tensor
    bias: torch.Tensor
    noise: torch.Tensor | None
    limit: float | None

    def all_of(self, x: torch.Tensor) -> torch.Tensor:
        """[N, O, H, W], overwritten."""
        return self._through(x, scaled=False)

    def rest_of(self, x: torch.Tensor) -> torch.Tensor:
        """[N, O, H, W] that is scaled and biased already, overwritten."""
        return self._through(x, scaled=True)

    def write(self, face: int, y: torch.Tensor, out: torch.Tensor) -> None:
        """out = y * scale + bias for one face, channels last."""
        torch.addcmul(self.bias, y, self.scale[face], out=out)

    def rest(self, y: torch.Tensor, face: int, rows: slice) -> None:
        """Noise, rectifier and limit for some rows of one face [H, W, O], in place."""
        if self.noise is not None:
            y.add_(self.noise[face if len(self.noise) > 1 else 0, rows, :, None])
        F.leaky_relu_(y, SLOPE)
        if self.limit is not None:
            y.clamp_(-self.limit, self.limit)

    def _through(self, x: torch.Tensor, scaled: bool) -> torch.Tensor:
        step = max(1, CACHE // (x.shape[1] * x.shape[3]))
        for face, whole in enumerate(x.permute(0, 2, 3, 1)):
            for top in range(0, len(whole), step):
                rows = slice(top, top + step)
                y = whole[rows]
                if not scaled:
                    self.write(face, y, y)
                self.rest(y, face, rows)
        return x

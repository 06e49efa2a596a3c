"""3x3 convolution in fp32 with a quarter of the multiplications.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (CVPR 2016):
F(4x4, 3x3), tiles of 6x6 inputs give 4x4 outputs through 36 products a channel pair
instead of 144. Interpolating at 0, 1, -1, 2, -1/2 (and infinity) rather than at the
usual 0, 1, -1, 2, -2 keeps the rounding error at twice that of the direct sum.
Work goes in bands of tiles that stay in the cache.
"""

from __future__ import annotations

from functools import cache
from math import prod

import numpy as np
import torch

from mien.generators.layers.finish import Finish

POINTS = (0.0, 1.0, -1.0, 2.0, -0.5)
OUTPUTS, TAPS = 4, 3  # m and r of F(m x m, r x r)
SIDE = OUTPUTS + TAPS - 1  # of a tile
BAND = 256  # tiles worked on at once


@cache
def matrices() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A^T [m, n], G [n, r] and B^T [n, n] of y = A^T ((G g) * (B^T d)), float64.

    Toom-Cook: evaluate both polynomials at n points, multiply, interpolate;
    transposed, the product of polynomials becomes a correlation.
    """
    scale = [prod(p - q for q in POINTS if q != p) for p in POINTS] + [1.0]
    rows = np.array(scale)[:, None]
    gather, spread = _powers(OUTPUTS).T, _powers(TAPS) / rows
    interpolate = np.linalg.inv(_powers(SIDE)).T * rows
    return tuple(map(torch.from_numpy, (gather, spread, interpolate)))  # type: ignore[return-value]


def _powers(count: int) -> np.ndarray:
    """Powers 0 .. count-1 of each point; infinity sees only the highest."""
    finite = [[point**power for power in range(count)] for point in POINTS]
    return np.array([*finite, [0.0] * (count - 1) + [1.0]])


@cache
def _planes() -> tuple[torch.Tensor, torch.Tensor]:
    """B^T and A^T for flattened 6x6 tiles, float32 [36, 36] and [16, 36]."""
    gather, _, interpolate = matrices()
    return torch.kron(interpolate, interpolate).float(), torch.kron(gather, gather).float()


def transform(weight: torch.Tensor) -> torch.Tensor:
    """Weights [O, I, 3, 3] -> float32 [36, I, O], for `convolve`."""
    spread = matrices()[1]
    tiles = spread @ weight.detach().double() @ spread.t()
    return tiles.permute(2, 3, 1, 0).float().contiguous().flatten(0, 1)


def suits(x: torch.Tensor, outputs: int) -> bool:
    """Whether `convolve` is faster than a direct convolution: measured, in fp32 on a CPU."""
    channels, height, width = x.shape[1:]
    whole = height % OUTPUTS == 0 and width % OUTPUTS == 0
    large = min(height, width) >= 32 and min(channels, outputs) >= 128
    return whole and large and x.dtype == torch.float32 and x.device.type == "cpu"


def convolve(
    x: torch.Tensor, styles: torch.Tensor, kernel: torch.Tensor, finish: Finish
) -> torch.Tensor:
    """[N, I, H, W] scaled by styles [N, I], convolved and finished -> [N, O, H, W]."""
    count, channels, height, width = x.shape
    out = x.new_empty(count, height, width, kernel.shape[2])
    padded = x.new_zeros(height + 2, width + 2, channels)
    desk = _Desk(x, kernel, max(1, BAND * OUTPUTS // width))
    for face in range(count):
        torch.mul(x[face].permute(1, 2, 0), styles[face], out=padded[1:-1, 1:-1])
        for top in range(0, height, desk.rows * OUTPUTS):
            band = slice(top, top + desk.rows * OUTPUTS)
            target = out[face, band]
            finish.demodulate(face, desk.product(padded, top, kernel), _tiled(target))
            finish.rest(target, face, band)
    return out.permute(0, 3, 1, 2)


def _tiled(rows: torch.Tensor) -> torch.Tensor:
    """[4k, W, O] -> [k, 4, W/4, 4, O]."""
    height, width, outputs = rows.shape
    return rows.view(height // OUTPUTS, OUTPUTS, width // OUTPUTS, OUTPUTS, outputs)


class _Desk:
    """Room for one band of tiles, used again for every band."""

    def __init__(self, x: torch.Tensor, kernel: torch.Tensor, rows: int) -> None:
        self.rows, self.across = min(rows, x.shape[2] // OUTPUTS), x.shape[3] // OUTPUTS
        tiles = self.rows * self.across
        points, channels, outputs = kernel.shape
        self.before, self.after = _planes()
        self.taken = x.new_empty(points * tiles * channels)
        self.spread = x.new_empty(points * tiles * channels)
        self.products = x.new_empty(points * tiles * outputs)
        self.gathered = x.new_empty(OUTPUTS**2 * tiles * outputs)

    def product(self, padded: torch.Tensor, top: int, kernel: torch.Tensor) -> torch.Tensor:
        """Outputs [k, 4, W/4, 4, O] of the band that starts at row `top`."""
        points, channels, outputs = kernel.shape
        rows = min(self.rows, (len(padded) - 2 - top) // OUTPUTS)
        tiles = rows * self.across
        high, wide = padded.stride()[:2]
        shape = (SIDE, SIDE, rows, self.across, channels)
        strides = (high, wide, OUTPUTS * high, OUTPUTS * wide, 1)
        taken = self.taken[: points * tiles * channels].view(shape)
        taken.copy_(padded.as_strided(shape, strides, top * high))
        spread = self.spread[: taken.numel()].view(points, -1)
        torch.mm(self.before, taken.view(points, -1), out=spread)
        products = self.products[: points * tiles * outputs].view(points, tiles, outputs)
        torch.bmm(spread.view(points, tiles, channels), kernel, out=products)
        gathered = self.gathered[: OUTPUTS**2 * tiles * outputs].view(OUTPUTS**2, -1)
        torch.mm(self.after, products.view(points, -1), out=gathered)
        return gathered.view(OUTPUTS, OUTPUTS, rows, self.across, outputs).permute(2, 0, 3, 1, 4)

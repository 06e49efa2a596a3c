"""Convolution in fp32 with fewer multiplications: tiles of outputs at a time.

Winograd, "Arithmetic Complexity of Computations" (1980), and Lavin and Gray, "Fast
Algorithms for Convolutional Neural Networks" (CVPR 2016): m x m outputs of an r x r
kernel need (m + r - 1)^2 products a channel pair instead of (m r)^2. Used are
F(4x4, 3x3), a quarter of the products, and F(3x3, 2x2), a half. The points 0, 1, -1,
2, -1/2 keep the rounding error at that of a direct sum or twice that. Work goes in
bands of tiles that stay in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import prod

import numpy as np
import torch

from mien.generators.layers.finish import Ending
from mien.runtime import engine

POINTS = (0.0, 1.0, -1.0, 2.0, -0.5)  # the first m + r - 2 of them, and infinity
BAND = 24 * 2**20  # bytes of the numbers between the steps of one band, measured
LARGE = 32  # px from which tiles are faster than a direct convolution, measured


@dataclass(frozen=True)
class Tiling:
    """F(m x m, r x r); `grow` x `grow` pixels come from the channels of each output."""

    outputs: int  # m
    taps: int  # r
    channels: tuple[int, int]  # inputs and outputs from which it is faster, measured
    whole: bool = True  # whether sizes must be multiples of m: a crop would not be dense
    grow: int = 1

    @property
    def side(self) -> int:
        """Inputs of a tile, and products, in one direction."""
        return self.outputs + self.taps - 1


SAME = Tiling(4, 3, (128, 128))
DOUBLING = Tiling(3, 2, (64, 32), whole=False, grow=2)


def suits(x: torch.Tensor, weight: torch.Tensor, tiling: Tiling) -> bool:
    """Whether tiles are faster for x [N, I, H, W] and weights [O, I, 3, 3]: in fp32 on a CPU."""
    device = x.device.type
    if engine.is_reading():  # another engine has its own ways
        return False
    if torch.is_grad_enabled() or torch.is_autocast_enabled(device) or device != "cpu":
        return False
    sides, least = x.shape[2:], tiling.channels
    whole = not tiling.whole or all(side % tiling.outputs == 0 for side in sides)
    wide = weight.shape[1] >= least[0] and len(weight) >= least[1] and weight.shape[2] == 3
    return x.dtype == torch.float32 and min(sides) >= LARGE and whole and wide


@cache
def matrices(tiling: Tiling) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A^T [m, n], G [n, r] and B^T [n, n] of y = A^T ((G g) * (B^T d)), float64.

    Toom-Cook: polynomials are multiplied by their values at n points, of which one is
    infinity; transposed, the product becomes a correlation.
    """
    points = POINTS[: tiling.side - 1]

    def powers(count: int) -> np.ndarray:
        finite = [[point**power for power in range(count)] for point in points]
        return np.array([*finite, [0.0] * (count - 1) + [1.0]])

    weights = [prod(p - q for q in points if q != p) for p in points] + [1.0]
    column = np.array(weights)[:, None]
    spread = powers(tiling.taps) / column
    interpolate = np.linalg.inv(powers(tiling.side)).T * column
    return powers(tiling.outputs).T, spread, interpolate


@cache
def _planes(tiling: Tiling) -> tuple[torch.Tensor, torch.Tensor]:
    """B^T and A^T for flattened tiles, float32 [n^2, n^2] and [m^2, n^2]."""
    gather, _, interpolate = matrices(tiling)
    both = np.kron(interpolate, interpolate), np.kron(gather, gather)
    before, after = (torch.from_numpy(plane).float() for plane in both)
    return before, after


def transform(weight: torch.Tensor, tiling: Tiling) -> torch.Tensor:
    """Weights [O, I, r, r] -> float32 [n^2, I, O], for `convolve`."""
    spread = torch.from_numpy(matrices(tiling)[1])
    values = spread @ weight.detach().double() @ spread.t()
    return values.permute(2, 3, 1, 0).float().contiguous().flatten(0, 1)


def convolve(
    x: torch.Tensor, kernel: torch.Tensor, tiling: Tiling, ending: Ending,
    scale: torch.Tensor | None = None,
) -> torch.Tensor:  # fmt: skip
    """x [N, I, H, W], times scale [N, I], padded by 1, convolved, ended -> [N, O, g H', g W'].

    H' = H + 3 - r; with grow g > 1 the kernel's outputs are ordered row, column, O.
    """
    count, channels, height, width = x.shape
    high, wide = height + 3 - tiling.taps, width + 3 - tiling.taps
    down, across = -(-high // tiling.outputs), -(-wide // tiling.outputs)
    step = tiling.outputs * tiling.grow
    out = x.new_empty(count, down * step, across * step, kernel.shape[2] // tiling.grow**2)
    extra = tiling.taps - 1
    padded = x.new_zeros(down * tiling.outputs + extra, across * tiling.outputs + extra, channels)
    desk = _Desk(padded, kernel, tiling)
    for face in range(count):
        inside, rows = padded[1 : height + 1, 1 : width + 1], x[face].permute(1, 2, 0)
        if scale is None:
            inside.copy_(rows)
        else:
            torch.mul(rows, scale[face], out=inside)
        for top in range(0, down, desk.rows):
            product = desk.product(padded, top, min(desk.rows, down - top))
            band = slice(top * step, (top + len(product)) * step)
            target = out[face, band]
            ending.write(face, product, target.view(product.shape))
            ending.rest(target, face, band)
    y = out.permute(0, 3, 1, 2)
    return y[:, :, : high * tiling.grow, : wide * tiling.grow]


class _Desk:
    """Room for one band of tiles, used again for every band."""

    def __init__(self, padded: torch.Tensor, kernel: torch.Tensor, tiling: Tiling) -> None:
        points, channels, outputs = kernel.shape
        self.tiling, self.kernel = tiling, kernel
        down, self.across = (side // tiling.outputs for side in padded.shape[:2])
        row = 4 * self.across * (points * (2 * channels + outputs) + tiling.outputs**2 * outputs)
        self.rows = min(down, max(1, BAND // row))
        tiles = self.rows * self.across
        self.before, self.after = _planes(tiling)
        self.taken, self.spread = (padded.new_empty(points * tiles * channels) for _ in range(2))
        self.products = padded.new_empty(points * tiles * outputs)
        self.gathered = padded.new_empty(tiling.outputs**2 * tiles * outputs)

    def product(self, padded: torch.Tensor, top: int, rows: int) -> torch.Tensor:
        """Outputs [rows, m, g, across, m, g, O] of `rows` rows of tiles from the `top`th."""
        points, channels, outputs = self.kernel.shape
        m, side, grow = self.tiling.outputs, self.tiling.side, self.tiling.grow
        tiles = rows * self.across
        high, wide = padded.stride()[:2]
        shape = (side, side, rows, self.across, channels)
        taken = self.taken[: points * tiles * channels].view(shape)
        taken.copy_(padded.as_strided(shape, (high, wide, m * high, m * wide, 1), top * m * high))
        spread = self.spread[: taken.numel()].view(points, -1)
        torch.mm(self.before, taken.view(points, -1), out=spread)
        products = self.products[: points * tiles * outputs].view(points, tiles, outputs)
        torch.bmm(spread.view(points, tiles, channels), self.kernel, out=products)
        gathered = self.gathered[: m * m * tiles * outputs].view(m * m, -1)
        torch.mm(self.after, products.view(points, -1), out=gathered)
        planes = gathered.view(m, m, rows, self.across, grow, grow, outputs // grow**2)
        return planes.permute(2, 0, 4, 3, 1, 5, 6)

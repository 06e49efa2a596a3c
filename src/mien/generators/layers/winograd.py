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
BAND = 512  # tiles worked on at once


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
    for face in range(count):
        torch.mul(x[face].permute(1, 2, 0), styles[face], out=padded[1:-1, 1:-1])
        _one_face(padded, kernel, out[face], finish.of(face))
    return out.permute(0, 3, 1, 2)


def _one_face(
    padded: torch.Tensor, kernel: torch.Tensor, out: torch.Tensor, finish: Finish
) -> None:
    """padded [H + 2, W + 2, I] -> out [H, W, O], a band of tile rows at a time."""
    channels, outputs = kernel.shape[1:]
    down, across = out.shape[0] // OUTPUTS, out.shape[1] // OUTPUTS
    rows = max(1, BAND // across)
    before, after = _planes()
    high, wide = padded.stride()[:2]
    strides = (high, wide, OUTPUTS * high, OUTPUTS * wide, 1)
    for top in range(0, down, rows):
        here = min(rows, down - top)
        shape = (SIDE, SIDE, here, across, channels)
        tiles = padded.as_strided(shape, strides, top * OUTPUTS * high)
        spread = before @ tiles.reshape(SIDE**2, -1)
        product = torch.bmm(spread.view(SIDE**2, -1, channels), kernel)
        y = (after @ product.view(SIDE**2, -1)).view(OUTPUTS, OUTPUTS, here, across, outputs)
        band = slice(top * OUTPUTS, (top + here) * OUTPUTS)
        target = out[band].view(here, OUTPUTS, across, OUTPUTS, outputs)
        finish.demodulate(y.permute(2, 0, 3, 1, 4), target)
        finish.rest(out[band], band)

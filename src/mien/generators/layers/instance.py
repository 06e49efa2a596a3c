"""Instance normalisation with a gain and a bias of its own for every face.

Ulyanov et al., "Instance Normalization" (2016); Dumoulin et al., "A Learned
Representation for Artistic Style" (ICLR 2017) for gains that depend on a label.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from mien.runtime import engine

EPSILON = 1e-5
Moments = tuple[torch.Tensor, torch.Tensor]


def normalise(
    x: torch.Tensor, gain: torch.Tensor, bias: torch.Tensor, rectify: bool = False
) -> torch.Tensor:
    """Each map of x [N, C, H, W] at mean 0 and variance 1, times gain, plus bias.

    gain, bias: fp32 [N, C]. rectify: negative values become 0. Statistics are fp32
    whatever x is, and 1e-5 is added to variances.
    """
    if engine.is_reading():
        out = F.instance_norm(x, eps=EPSILON) * gain[:, :, None, None] + bias[:, :, None, None]
        return F.relu(out) if rectify else out
    made: torch.Tensor = _Instance.apply(x, gain, bias, rectify)  # type: ignore[no-untyped-call]
    return made


def rescale(
    x: torch.Tensor, moments: Moments, gain: torch.Tensor, bias: torch.Tensor,
    rectify: bool = False,
) -> torch.Tensor:  # fmt: skip
    """The same with given moments [C] (mean, variance) in the place of each map's own."""
    mean, variance = moments
    factor = gain * torch.rsqrt(variance + EPSILON)
    offset = bias - mean * factor
    out = (x.float() * factor[:, :, None, None] + offset[:, :, None, None]).to(x.dtype)
    return F.relu(out) if rectify else out


class _Instance(torch.autograd.Function):
    """One face after the other: it stays in a core's cache, and channels_last stays as it is.

    Batch normalisation of a single face is instance normalisation; its kernels take
    bf16 maps with fp32 statistics, which those of `instance_norm` do not.
    """

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, gain: torch.Tensor, bias: torch.Tensor, rectify: bool
    ) -> torch.Tensor:
        out, mean, scale = torch.empty_like(x), torch.empty_like(gain), torch.empty_like(gain)
        for n in range(len(x)):
            face, mean[n], scale[n] = _normalised(x[n : n + 1], gain[n], bias[n])
            out[n : n + 1] = F.relu_(face) if rectify else face
        ctx.rectify = rectify
        ctx.save_for_backward(x, out if rectify else None, gain, mean, scale)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, out, gain, mean, scale = ctx.saved_tensors
        to_x, to_gain, to_bias = torch.empty_like(x), torch.empty_like(gain), torch.empty_like(gain)
        aten = torch.ops.aten
        for n in range(len(x)):
            face = gradient[n : n + 1]
            if ctx.rectify:
                face = aten.threshold_backward(face, out[n : n + 1], 0)
            to_x[n : n + 1], to_gain[n], to_bias[n] = aten.native_batch_norm_backward(
                face.contiguous(memory_format=torch.channels_last), x[n : n + 1], gain[n],
                None, None, mean[n], scale[n], True, EPSILON, [True, True, True],
            )  # fmt: skip
        return to_x, to_gain, to_bias, None


def _normalised(
    face: torch.Tensor, gain: torch.Tensor, bias: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(a face [1, C, H, W] normalised, its means [C], 1 / its deviations [C])."""
    if face.dtype != torch.float32:
        return torch.native_batch_norm(face, gain, bias, None, None, True, 0.0, EPSILON)
    # That kernel adds numbers one after the other: 5e-6 off, which fp32 shows and bf16 does not.
    mean = face.mean((2, 3), keepdim=True)
    out = face - mean
    scale = torch.rsqrt(out.square().mean((2, 3)) + EPSILON)[0]
    out = torch.addcmul(bias[:, None, None], out, (gain * scale)[:, None, None])
    return out, mean.flatten(), scale

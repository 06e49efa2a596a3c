"""Linear and convolution layers with an equalised learning rate.

Karras et al., "Progressive Growing of GANs" (ICLR 2018), section 4.1: weights are
drawn and stored with unit variance and scaled by 1 / sqrt(fan in) at run time, so
that every layer learns at the same speed.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

SLOPE = 0.2  # of the leaky rectifier below zero
GAIN = math.sqrt(2)  # of the leaky rectifier, keeps the second moment


def activate(
    x: torch.Tensor, gain: float = GAIN, clamp: float | None = None, slope: float = SLOPE
) -> torch.Tensor:
    """Leaky rectifier times `gain`, cut to [-clamp, clamp]; in place where no gradient is kept."""
    if torch.is_grad_enabled():
        x = F.leaky_relu(x, slope) * gain
        return x if clamp is None else x.clamp(-clamp, clamp)
    x = F.leaky_relu_(x, slope).mul_(gain)
    return x if clamp is None else x.clamp_(-clamp, clamp)


class Linear(nn.Module):
    """Fully connected layer in fp32, also under autocast: styles are small and decide much.

    rate: learning rate multiplier; weight and bias are stored divided by it.
    """

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.rate, self.scale = rate, rate / math.sqrt(inputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, inputs] -> [N, outputs]."""
        with torch.autocast(x.device.type, enabled=False):
            return torch.addmm(self.bias * self.rate, x.float(), self.weight.t() * self.scale)

    def maps(self, x: torch.Tensor) -> torch.Tensor:
        """[N, inputs] -> [N, outputs, 1, 1], by a 1x1 convolution.

        In a network read by OpenVINO such factors lie as the maps do that they are
        multiplied with; those of a matrix product would have every map reordered.
        """
        kernel = (self.weight * self.scale)[:, :, None, None]
        return F.conv2d(x[:, :, None, None], kernel, self.bias * self.rate)


class Conv(nn.Module):
    """Convolution that keeps the size, or `stride` times smaller without padding."""

    def __init__(
        self, inputs: int, outputs: int, side: int, stride: int = 1, bias: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = 1 / math.sqrt(inputs * side * side)
        self.stride, self.padding = stride, side // 2 if stride == 1 else 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, inputs, H, W] -> [N, outputs, H / stride, W / stride]."""
        return F.conv2d(x, self.weight * self.scale, self.bias, self.stride, self.padding)


def normalise(x: torch.Tensor) -> torch.Tensor:
    """[N, D] divided by the root mean square of each row, in fp32."""
    x = x.float()
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)

"""Convolutions in 8 bits, for engines that have units for them.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference" (CVPR 2018): whole numbers and a scale, one a channel for weights and one a
layer for what a layer reads, here fixed beforehand by the range that examples take.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import nn

LEVELS = 255
LEAST = 16  # channels: narrower layers are quick as they are, and the first one reads the photo

Network = TypeVar("Network", bound=nn.Module)


class Rounded(nn.Module):
    """A convolution whose weights and input are rounded to 8 bits.

    PyTorch computes it in floating point; OpenVINO reads the rounding as an order to
    compute in whole numbers.
    """

    weight_scale: torch.Tensor
    weight_zero: torch.Tensor

    def __init__(self, layer: nn.Conv2d, least: float, most: float) -> None:
        """least, most: of what the layer reads; beyond them it is clipped."""
        super().__init__()
        self.layer = layer
        least, most = min(least, 0.0), max(most, 0.0)
        self.scale = max(most - least, 1e-8) / LEVELS
        self.zero = round(-least / self.scale)  # 0 is kept as it is: borders are padded with it
        sizes = layer.weight.detach().abs().amax((1, 2, 3)).clamp(min=1e-12)
        self.register_buffer("weight_scale", sizes / (LEVELS // 2))
        self.register_buffer("weight_zero", torch.zeros(len(sizes), dtype=torch.int32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the layer gives, rounding apart."""
        layer, half = self.layer, LEVELS // 2
        x = torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero, 0, LEVELS)
        weight = torch.fake_quantize_per_channel_affine(
            layer.weight, self.weight_scale, self.weight_zero, 0, -half, half
        )
        padding = (int(layer.padding[0]), int(layer.padding[1]))
        stride = (layer.stride[0], layer.stride[1])
        return F.conv2d(x, weight, layer.bias, stride, padding)


def quantised(network: Network, show: Callable[[Network], object], room: float = 1.0) -> Network:
    """A copy whose 3x3 convolutions of many channels compute in 8 bits.

    show: runs the network it is given over examples, which tell the ranges; room: by how
    much photos may go beyond them, as a factor.
    """
    copied = copy.deepcopy(network)
    ranges: dict[str, tuple[float, float]] = {}

    def note(name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
        def hook(_: nn.Module, read: tuple[torch.Tensor, ...]) -> None:
            least, most = torch.aminmax(read[0].detach())
            before = ranges.get(name, (float("inf"), float("-inf")))
            ranges[name] = (min(before[0], float(least)), max(before[1], float(most)))

        return hook

    hooks = [
        layer.register_forward_pre_hook(note(name))
        for name, layer in copied.named_modules()
        if _is_worthwhile(layer)
    ]
    with torch.no_grad():
        show(copied)
    for hook in hooks:
        hook.remove()
    for name, (least, most) in ranges.items():
        parent, _, last = name.rpartition(".")
        layer = copied.get_submodule(name)
        assert isinstance(layer, nn.Conv2d)
        setattr(copied.get_submodule(parent), last, Rounded(layer, room * least, room * most))
    return copied


def _is_worthwhile(layer: nn.Module) -> bool:
    return (
        isinstance(layer, nn.Conv2d)
        and layer.kernel_size == (3, 3)
        and layer.in_channels >= LEAST
        and layer.groups == 1
        and layer.dilation == (1, 1)
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
    )

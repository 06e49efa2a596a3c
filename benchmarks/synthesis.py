"""StyleGAN2 synthesis speed, batch 1: ours in fp32 and bf16 beside a textbook implementation.

    python benchmarks/synthesis.py [SIZE] [REPEATS]

The textbook follows the equations of the paper (Karras et al., CVPR 2020) as reference
code does: weights are modulated and demodulated for each face, convolved in groups, and
every resampling is a zero-insertion followed by a depthwise filter. All variants run in
turn in one process; times are CPU time of all threads, the least of the repeats, so that
ratios mean something on a busy machine too. Random weights of config-f, checked to paint
the same picture: the last column is the PSNR to the textbook's.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from mien.generators.stylegan2 import Architecture, Generator

REPEATS = 7


def upfirdn(x: torch.Tensor, kernel: torch.Tensor, up: int, pad: tuple[int, int]) -> torch.Tensor:
    """Insert zeros, pad, filter each channel."""
    count, channels, height, width = x.shape
    if up > 1:
        x = F.pad(x[:, :, :, None, :, None], (0, up - 1, 0, 0, 0, up - 1))
        x = x.reshape(count, channels, height * up, width * up)
    x = F.pad(x, (*pad, *pad))
    return F.conv2d(x, kernel.flip(0, 1).expand(channels, 1, -1, -1), groups=channels)


def modulated(
    x: torch.Tensor, weight: torch.Tensor, styles: torch.Tensor, kernel: torch.Tensor | None,
    demodulate: bool = True,
) -> torch.Tensor:  # fmt: skip
    """Equations 1 and 3 on weights, one group a face; `kernel` doubles the size."""
    count, side = len(x), weight.shape[-1]
    weights = weight[None] * styles[:, None, :, None, None]  # [N, O, I, k, k]
    if demodulate:
        weights = weights * (weights.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    x = x.reshape(1, -1, *x.shape[2:])
    if kernel is None:
        weights = weights.flatten(0, 1)
        x = F.conv2d(x, weights, padding=side // 2, groups=count)
    else:
        weights = weights.transpose(1, 2).flatten(0, 1)
        x = F.conv_transpose2d(x, weights, stride=2, groups=count)
        x = upfirdn(x, kernel * 4, 1, (1, 1))
    return x.reshape(count, -1, *x.shape[2:])


def textbook(generator: Generator, styles: torch.Tensor) -> torch.Tensor:
    """Faces of w+ latents [N, L, D] with stored noise, form "skip"."""
    network = generator.synthesis
    kernel, picture = network.filter.kernel, None
    x = network.constant[None].repeat(len(styles), 1, 1, 1)
    for number, layer in enumerate(network.layers):
        conv = layer.conv
        scales = styles[:, number] @ (conv.style.weight * conv.style.scale).t() + conv.style.bias
        x = modulated(x, conv.weight * conv.scale, scales, kernel if number % 2 else None)
        x = x + layer.noise * layer.strength + layer.bias[:, None, None]
        x = F.leaky_relu(x, 0.2) * 2**0.5
        if number % 2 == 0:
            colour = network.colours[number // 2]
            style = colour.conv.style
            scales = styles[:, number + 1] @ (style.weight * style.scale).t() + style.bias
            scaled = colour.conv.weight * colour.conv.scale
            here = modulated(x, scaled, scales, None, False) + colour.bias[:, None, None]
            picture = here if picture is None else upfirdn(picture, kernel * 4, 2, (2, 1)) + here
    assert picture is not None
    return picture


def random_generator(size: int) -> Generator:
    """Config-f with random weights whose pictures lie about [-1, 1]."""
    torch.manual_seed(0)
    generator = Generator(Architecture(size)).eval()
    for layer in generator.synthesis.layers:
        torch.nn.init.normal_(layer.strength, std=0.3)
        torch.nn.init.normal_(layer.bias, std=0.2)
    for colour in generator.synthesis.colours:
        torch.nn.init.normal_(colour.conv.weight, std=0.2)
    return generator


def decibels(got: torch.Tensor, want: torch.Tensor) -> float:
    """PSNR over the range [-1, 1]."""
    return float(10 * torch.log10(4 / (got - want).square().mean()))


def main(size: int, repeats: int) -> None:
    """Print times, ratios and closeness."""
    generator = random_generator(size)
    styles = generator.styles(torch.randn(1, 512), 0.7)

    def bf16() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return generator.synthesis(styles)

    calls: dict[str, Callable[[], torch.Tensor]] = {
        "textbook fp32": lambda: textbook(generator, styles),
        "mien fp32": lambda: generator.synthesis(styles),
        "mien bf16": bf16,
    }
    want = calls["textbook fp32"]()
    near = {name: decibels(call(), want) for name, call in calls.items()}  # also warms up
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.process_time()
            call()
            times[name].append(time.process_time() - start)
    base = min(times["textbook fp32"])
    for name, taken in times.items():
        here = min(taken)
        print(f"{name:14s} {here * 1000:8.0f} ms  {base / here:5.2f} x  {near[name]:6.1f} dB")


if __name__ == "__main__":
    with torch.inference_mode():
        main(
            int(sys.argv[1]) if len(sys.argv) > 1 else 256,
            int(sys.argv[2]) if len(sys.argv) > 2 else REPEATS,
        )

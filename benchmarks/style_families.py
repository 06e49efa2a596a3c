"""PGGAN and StyleGAN beside implementations that follow the equations one by one.

    python benchmarks/style_families.py [SIZE] [THREADS]

Random weights at SIZE px (256), batch 1, in one process on THREADS cores (1), taking
turns: the textbook networks below do what the papers say, step by step, as the
published PyTorch code does (StyleGAN with transposed convolutions from 128 px,
PGGAN with doubled pixels). The last column says how near the faces are to the
textbook's; OpenVINO needs the extra `fast`. Ratios are what to quote.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median

import torch
import torch.nn.functional as F

from mien.generators import pggan, stylegan
from mien.runtime.engine import Runner, engine
from mien.runtime.precision import precision

ROUNDS = 7
WAYS = ("torch fp32", "torch bf16", "openvino fp32", "openvino bf16")
Tensors = Mapping[str, torch.Tensor]


def convolve(x: torch.Tensor, weight: torch.Tensor, gain: float = math.sqrt(2)) -> torch.Tensor:
    """Equalised convolution that keeps the size."""
    scale = gain / math.sqrt(weight[0].numel())
    return F.conv2d(x, weight * scale, padding=weight.shape[-1] // 2)


def double(x: torch.Tensor, weight: torch.Tensor, fused: bool) -> torch.Tensor:
    """Each pixel repeated 2x2, then an equalised convolution; or both as a transposed one."""
    if not fused:
        return convolve(F.interpolate(x, scale_factor=2, mode="nearest"), weight)
    weight = F.pad(weight.flip(2, 3) * math.sqrt(2 / weight[0].numel()), (1, 1, 1, 1))
    weight = (
        weight[..., 1:, 1:] + weight[..., :-1, 1:] + weight[..., 1:, :-1] + weight[..., :-1, :-1]
    )
    return F.conv_transpose2d(x, weight.transpose(0, 1), stride=2, padding=1)


def blur(x: torch.Tensor) -> torch.Tensor:
    """[1, 2, 1] x [1, 2, 1] / 16 in each channel."""
    line = torch.tensor([1.0, 2.0, 1.0]) / 4
    kernel = (line[:, None] * line).repeat(x.shape[1], 1, 1, 1)
    return F.conv2d(x, kernel, padding=1, groups=x.shape[1])


def stylegan_textbook(tensors: Tensors, styles: torch.Tensor) -> torch.Tensor:
    """w+ [N, L, D] -> faces; tensors under mien's keys."""
    x = tensors["layers.0.constant"].repeat(len(styles), 1, 1, 1)
    for n in range(styles.shape[1]):
        of = {k.removeprefix(f"layers.{n}."): v for k, v in tensors.items()}
        if n and n % 2 == 0:
            x = blur(double(x, of["conv.weight"], fused=2 * x.shape[2] >= 128))
        elif n:
            x = convolve(x, of["conv.weight"])
        x = x + of["noise"] * of["strength"].view(1, -1, 1, 1)
        x = F.leaky_relu(x + of["bias"].view(1, -1, 1, 1), 0.2)
        x = x - x.mean((2, 3), keepdim=True)
        x = x / torch.sqrt((x**2).mean((2, 3), keepdim=True) + 1e-8)
        weight = of["style.weight"] / math.sqrt(styles.shape[2])
        style = F.linear(styles[:, n], weight, of["style.bias"]).view(len(styles), 2, -1, 1, 1)
        x = x * (style[:, 0] + 1) + style[:, 1]
    return head(x, tensors)


def pixel_norm(x: torch.Tensor) -> torch.Tensor:
    """Each pixel over its root mean square."""
    return x / torch.sqrt((x**2).mean(1, keepdim=True) + 1e-8)


def pggan_textbook(tensors: Tensors, z: torch.Tensor) -> torch.Tensor:
    """z [N, D] -> faces; tensors under mien's keys."""
    start = tensors["layers.0.weight"]
    x = pixel_norm(pixel_norm(z)) @ (start * math.sqrt(2 / start.numel() * len(start) / 16)).t()
    x = x.view(len(z), 4, 4, -1).permute(0, 3, 1, 2) + tensors["layers.0.bias"].view(1, -1, 1, 1)
    x = F.leaky_relu(x.contiguous(), 0.2)
    n = 1
    while f"layers.{n}.conv.weight" in tensors:
        weight, bias = tensors[f"layers.{n}.conv.weight"], tensors[f"layers.{n}.conv.bias"]
        x = pixel_norm(x)
        x = convolve(x, weight) if n % 2 else double(x, weight, fused=False)
        x = F.leaky_relu(x + bias.view(1, -1, 1, 1), 0.2)
        n += 1
    return head(pixel_norm(x), tensors)


def head(x: torch.Tensor, tensors: Tensors) -> torch.Tensor:
    """The picture of the last level."""
    last = max(int(key.split(".")[1]) for key in tensors if key.startswith("heads."))
    weight, bias = (tensors[f"heads.{last}.conv.{part}"] for part in ("weight", "bias"))
    return convolve(x, weight, gain=1.0) + bias.view(1, -1, 1, 1)


def milliseconds(calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Median time of each call, all in turn; on one core CPU time, without waiting."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS + 2):  # two to warm up
        for name, call in calls.items():
            start = clock()
            call()
            times[name].append(1000 * (clock() - start))
    return {name: median(values[2:]) for name, values in times.items()}


def running(ours: Callable[[], torch.Tensor], how: str) -> Callable[[], torch.Tensor]:
    """`ours` by an engine at a precision: "openvino bf16"."""
    by, at = how.split()

    def call() -> torch.Tensor:
        with precision(at), engine(by):
            return ours()

    return call


def compare(
    name: str, ours: Callable[[], torch.Tensor], textbook: Callable[[], torch.Tensor]
) -> None:
    """Check that all agree, time them, print ratios."""
    calls = {"textbook": textbook} | {how: running(ours, how) for how in WAYS}
    want = textbook()
    noise = {how: (call() - want).square().mean() for how, call in calls.items()}
    took = milliseconds(calls)
    print(name)
    for how, spent in took.items():
        ratio = f"{took['textbook'] / spent:5.2f} times as fast"
        psnr = 20 * math.log10(want.max() - want.min()) - 10 * math.log10(noise[how] + 1e-12)
        print(f"  {how:14} {spent:7.1f} ms   {ratio}   {psnr:5.1f} dB")


def main(size: int = 256, threads: int = 1) -> None:
    """Print a table of each network."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    grown, styled = pggan.Architecture(size), stylegan.Architecture(size)
    first = pggan.Generator(grown).eval().requires_grad_(False)
    second = stylegan.Synthesis(styled).eval().requires_grad_(False)
    for key, value in [*first.named_parameters(), *second.named_parameters()]:
        if key.endswith(("bias", "strength")):
            torch.nn.init.normal_(value, std=0.3)
    z, styles = torch.randn(1, grown.latent), torch.randn(1, styled.styles, styled.latent)
    with torch.inference_mode():
        compare(
            f"StyleGAN {size} px, synthesis",
            partial(Runner(second), styles),
            lambda: stylegan_textbook(second.state_dict(), styles),
        )
        compare(
            f"PGGAN {size} px",
            partial(Runner(first), z),
            lambda: pggan_textbook(first.state_dict(), z),
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

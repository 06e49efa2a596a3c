"""StarGAN speed at the published sizes: a training iteration and a translation.

    python benchmarks/stargan.py [REPEATS] [BATCH]

An iteration is five steps of the discriminator and one of the generator, at 128 px and
width 64. The textbook follows the equations as reference code does: instance normalisation
as PyTorch has it, a pass of the discriminator each for photos and translations, the slope by
differentiating twice, fp32, and each step on its own. Steps of both kinds are timed apart and
added up (5 D + 1 G). All variants run in turn in one process on the same weights; times are
CPU time of all threads, the least of the repeats, so that ratios mean something on a busy
machine too. The translation's last column is the PSNR to the textbook's face.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from mien.generators import open_space
from mien.generators._labels import Part, Vocabulary
from mien.generators.stargan import (
    Architecture,
    Discriminator,
    Generator,
    Norm,
    Residual,
    StarGAN,
    stack,
)
from mien.runtime.engine import engine
from mien.runtime.precision import precision
from mien.train import stargan
from mien.train._stargan_state import Recipe, State, start
from mien.train.stargan import Batch

Terms = dict[str, torch.Tensor]
WAYS = (
    "textbook fp32", "torch fp32", "torch bf16", "openvino fp32", "openvino bf16", "openvino int8",
)  # fmt: skip


def plain_layer(x: torch.Tensor, layer: torch.nn.Module) -> torch.Tensor:
    """One layer of the generator as PyTorch spells it."""
    if isinstance(layer, Residual):
        out = x
        for inner in layer.main:
            out = plain_layer(out, inner)
        return x + out
    if isinstance(layer, Norm):
        out = F.instance_norm(x, weight=layer.weight, bias=layer.bias)
        return F.relu(out) if layer.rectify else out
    return layer(x)


def plain_generator(network: Generator, faces: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Translated faces."""
    x = stack(faces, labels).contiguous()
    for layer in network.main:
        x = plain_layer(x, layer)
    return torch.tanh(x)


def plain_critic(network: Discriminator, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and logits."""
    for layer in network.main:
        x = (
            layer(x)
            if not hasattr(layer, "weight")
            else F.conv2d(x, layer.weight, layer.bias, 2, 1)
        )
    return network.conv1(x), network.conv2(x).flatten(1)


def classified(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy, summed over labels."""
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="sum") / len(labels)


def textbook(state: State, batch: Batch, both: bool) -> Terms:
    """One step of the discriminator or, if `both`, of the generator alone."""
    faces, critic = batch.faces, state.critic
    made = plain_generator(state.generator, faces, batch.targets)
    if both:
        scores, logits = plain_critic(critic, made)
        back = plain_generator(state.generator, made, batch.labels)
        terms = {"G/fake": -scores.mean(), "G/rec": F.l1_loss(back, faces)}
        terms["G/cls"] = classified(logits, batch.targets)
        loss = terms["G/fake"] + 10 * terms["G/rec"] + terms["G/cls"]
    else:
        scores, logits = plain_critic(critic, faces)
        terms = {"D/real": -scores.mean(), "D/cls": classified(logits, batch.labels)}
        terms["D/fake"] = plain_critic(critic, made.detach())[0].mean()
        between = (batch.mix * faces + (1 - batch.mix) * made).detach().requires_grad_()
        sums = plain_critic(critic, between)[0].sum()
        (slope,) = torch.autograd.grad(sums, between, create_graph=True)
        terms["D/gp"] = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        loss = terms["D/real"] + terms["D/fake"] + terms["D/cls"] + 10 * terms["D/gp"]
    for optimiser in (state.optimiser, state.critic_optimiser):
        optimiser.zero_grad()
    loss.backward()
    (state.optimiser if both else state.critic_optimiser).step()
    return {key: value.detach() for key, value in terms.items()}


def clock(run: Callable[[], object], repeats: int) -> float:
    """Least CPU seconds, after one call that is not counted."""
    run()
    least = math.inf
    for _ in range(repeats):
        begin = time.process_time()
        run()
        least = min(least, time.process_time() - begin)
    return least


def train(repeats: int, count: int) -> None:
    """A table of training steps."""
    recipe = Recipe(batch=count)
    vocabulary = Vocabulary((Part(recipe.attributes),))
    labels = (torch.rand(count, 5) > 0.5).float()
    faces, mix = torch.rand(count, 3, 128, 128) * 2 - 1, torch.rand(count, 1, 1, 1)
    batch = Batch(faces, labels, labels.roll(1, 0), mix)
    state = start(recipe, vocabulary)
    state.generator.to(memory_format=torch.contiguous_format)
    state.critic.to(memory_format=torch.contiguous_format)
    wanted = textbook(state, batch, False)
    steps = [clock(lambda b=both: textbook(state, batch, b), repeats) for both in (False, True)]
    base = 5 * steps[0] + steps[1]
    print(f"{'iteration':16} {'D s':>7} {'G s':>7} {'5D+G s':>8} {'ratio':>6} {'losses':>8}")
    print(f"{'textbook fp32':16} {steps[0]:7.2f} {steps[1]:7.2f} {base:8.2f} {1:6.2f}")
    for name in ("fp32", "bf16"):
        ours = replace(recipe, precision=name)
        state = start(recipe, vocabulary)
        found = stargan.update(state, batch, ours, False)
        off = max(float((found[key] - wanted[key]).abs()) for key in wanted)
        alone, both = (
            clock(lambda s=state, b=b, o=ours: stargan.update(s, batch, o, b), repeats)
            for b in (False, True)
        )
        total = 4 * alone + both  # the last of five comes with the generator's step
        line = f"{alone:7.2f} {both - alone:7.2f} {total:8.2f} {base / total:6.2f} {off:8.1e}"
        print(f"{'ours ' + name:16} {line}", flush=True)


def translate(repeats: int) -> None:
    """A table of translations of one face."""
    torch.manual_seed(0)
    space = open_space()
    face, labels = space.decode(space.sample(1, seed=1)), np.float32([[0, 1, 0, 0, 1]])
    names = list(Recipe().attributes)
    card = {
        "name": "untrained", "sha256": "0" * 64, "parts": [{"names": names, "kind": "binary"}],
        "input": {"size": 128, "frame": "celeba", "range": [-1, 1]},
    }  # fmt: skip
    model = StarGAN(Generator(Architecture(labels=len(names))), card)
    read = torch.from_numpy(face), torch.from_numpy(labels)
    with torch.inference_mode():
        wanted = plain_generator(model.network, *read).numpy()

    def run(how: str) -> np.ndarray:
        by, _, at = how.partition(" ")
        if by == "textbook":
            with torch.inference_mode():
                return plain_generator(model.network, *read).numpy()
        with precision(at), engine(by):
            return model.translate(face, labels)

    off = {how: float(np.square(run(how) - wanted).mean()) for how in WAYS}
    least = dict.fromkeys(WAYS, math.inf)
    for _ in range(10 * repeats):  # by turns: neighbours come and go within seconds
        for how in WAYS:
            begin = time.process_time()
            run(how)
            least[how] = min(least[how], time.process_time() - begin)
    print(f"\n{'one face':16} {'ms':>7} {'ratio':>6} {'dB':>6}")
    for how, took in least.items():
        near = f"{10 * math.log10(4 / off[how]):6.1f}" if off[how] else ""
        print(f"{how:16} {took * 1e3:7.1f} {least[WAYS[0]] / took:6.2f} {near}", flush=True)


def main() -> None:
    """Print both tables."""
    torch.manual_seed(0)
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    translate(repeats)
    train(repeats, int(sys.argv[2]) if len(sys.argv) > 2 else 16)


if __name__ == "__main__":
    main()

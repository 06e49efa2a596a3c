"""Encoder speed, one 256 px photo: ours by each engine and precision beside the plain networks.

    python benchmarks/encoders.py [ROUNDS]

The plain networks are pSp's and e4e's of 18 styles with IR-SE50 as published: every
style's block after the other, batch normalisation apart, fp32. Both run in turn in one
process, all threads; times are the least of the rounds on the clock, so run it on an
idle machine. The last column is the relative difference of the codes (norms).
Random weights, their normalisation statistics from two drawn faces; the photo is another.
"""

from __future__ import annotations

import copy
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

from mien.encoders import e4e, psp
from mien.encoders.e4e import Inverter
from mien.generators import open_space
from mien.runtime.engine import engine
from mien.runtime.precision import precision

ROUNDS = 10
WAYS = ("plain fp32", "torch fp32", "torch bf16", "openvino fp32", "openvino bf16", "openvino int8")


def table(name: str, network: nn.Module, photo: torch.Tensor, rounds: int) -> None:
    """Print an encoder's rows: every way by turns, as neighbours come and go within seconds."""
    card = {"options": {"size": 256, "styles": 18}, "centred": True}
    ours = Inverter(copy.deepcopy(network), card, torch.zeros(512))

    def run(how: str) -> torch.Tensor:
        by, _, at = how.partition(" ")
        if by == "plain":
            return network(photo)
        with precision(at), engine(by):
            return ours.read(photo)

    with torch.inference_mode():
        found = {how: run(how) for how in WAYS}
        least = dict.fromkeys(WAYS, float("inf"))
        for _ in range(rounds):
            for how in WAYS:
                start = time.perf_counter()
                run(how)
                least[how] = min(least[how], time.perf_counter() - start)
    base, wanted = least[WAYS[0]], found[WAYS[0]]
    for how, took in least.items():
        error = float((found[how] - wanted).norm() / wanted.norm())
        line = f"{took * 1e3:8.1f} {base / took:6.2f} {error:8.1e}"
        print(f"{name:8} {how:14} {line}", flush=True)


def main() -> None:
    """Print a table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    torch.manual_seed(0)
    space = open_space()
    faces = torch.from_numpy(space.decode(space.sample(3, seed=1)))
    faces = F.interpolate(faces, (256, 256), mode="bilinear")
    print(f"{'encoder':8} {'what':14} {'ms':>8} {'ratio':>6} {'codes':>8}")
    for part in (psp, e4e):
        network = part.Encoder(part.Architecture())
        network.train()
        with torch.no_grad():
            network(faces[1:])
        table(part.__name__.rpartition(".")[2], network.eval(), faces[:1], rounds)


if __name__ == "__main__":
    main()

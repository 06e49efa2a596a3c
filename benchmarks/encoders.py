"""Encoder speed, one 256 px photo: ours by each engine and precision beside the plain networks.

    python benchmarks/encoders.py [REPEATS]

The plain networks are pSp's and e4e's of 18 styles with IR-SE50 as published: every
style's block after the other, batch normalisation apart, fp32. Both run in turn in one
process, all threads; times are the least of the repeats on the clock, so run it on an
idle machine. The last column is the relative difference of the codes (norms).
Random weights, their normalisation statistics from two drawn faces; the photo is another.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from mien.encoders import e4e, psp
from mien.encoders.e4e import Inverter
from mien.generators import open_space
from mien.runtime.engine import engine
from mien.runtime.precision import precision

REPEATS = 7
WAYS = ("torch fp32", "torch bf16", "openvino fp32", "openvino bf16", "openvino int8")


def clock(run: Callable[[], torch.Tensor], repeats: int) -> tuple[float, torch.Tensor]:
    """(least seconds, result)."""
    found, least = run(), float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        found = run()
        least = min(least, time.perf_counter() - start)
    return least, found


def main() -> None:
    """Print a table."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else REPEATS
    torch.manual_seed(0)
    space = open_space()
    faces = torch.from_numpy(space.decode(space.sample(3, seed=1)))
    faces = F.interpolate(faces, (256, 256), mode="bilinear")
    photo = faces[:1]
    print(f"{'encoder':8} {'what':14} {'ms':>8} {'ratio':>6} {'codes':>8}")
    for part in (psp, e4e):
        network = part.Encoder(part.Architecture())
        network.train()
        with torch.no_grad():
            network(faces[1:])
        network.eval()
        card = {"options": {"size": 256, "styles": 18}, "centred": True}
        ours = Inverter(copy.deepcopy(network), card, torch.zeros(512))
        with torch.inference_mode():
            base, wanted = clock(lambda n=network: n(photo), repeats)
            name = part.__name__.rpartition(".")[2]
            print(f"{name:8} {'plain fp32':14} {base * 1e3:8.1f} {1:6.2f}")
            for how in WAYS:
                by, at = how.split()
                with precision(at), engine(by):
                    took, found = clock(lambda o=ours: o.read(photo), repeats)
                error = float((found - wanted).norm() / wanted.norm())
                line = f"{took * 1e3:8.1f} {base / took:6.2f} {error:8.1e}"
                print(f"{name:8} {how:14} {line}")


if __name__ == "__main__":
    main()

"""The encoder half of pSp's and e4e's files, and how far e4e's training had come."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from typing import Any

import numpy as np

from mien.encoders import psp
from mien.encoders.psp import Architecture
from mien.errors import BadModel
from mien.published._networks import shapes
from mien.published._table import Arrays, Pair, Table, count, side
from mien.recognise.ir_se import TrunkShape

PREFIX = "encoder."
WHAT = "the encoder"
FORMS = {  # a key that only one of the networks has, the first that fits -> its form
    "encoder.styles.0.linear.weight": "styles",
    "encoder.output_layer_2.3.weight": "rows",
    "encoder.linear.weight": "w",
}
NETWORKS = {"styles": psp.Encoder, "rows": psp.IntoRows, "w": psp.IntoW}  # e4e's is the first too


def encoder_to_ours(
    tensors: Arrays, method: str, extras: dict[str, Any], rows: tuple[int, int]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(tensors under our keys, entries of the card) of a file's encoder.

    tensors: "encoder.*" among others. method: "psp" or "e4e". extras: the plain
    data beside the tensors. rows: styles and latent of the file's generator.
    Raises BadModel naming what is missing or what the encoder was made for.
    """
    theirs = {key: value for key, value in tensors.items() if key.startswith(PREFIX)}
    form = next((form for key, form in FORMS.items() if key in theirs), None)
    if form is None:
        raise BadModel(f"{WHAT} lacks its last layers; the file is incomplete")
    shape = _shape(theirs, form, rows)
    known = shapes(WHAT, lambda: NETWORKS[form](shape))
    table = Table(WHAT, [_pair(key) for key in known], {}, known)
    options = extras.get("opts")
    options = options if isinstance(options, dict) else {}
    card: dict[str, Any] = {
        "kind": "encoder",
        "architecture": method,
        "options": asdict(shape),
        "form": form,
        "centred": bool(options.get("start_from_latent_avg", True)),
    }
    if method == "e4e":
        card["stage"] = stage_of(options, extras.get("global_step"), shape.styles)
    return table.to_ours(theirs), card


def stage_of(options: dict[str, Any], step: int | None, styles: int) -> int:
    """How many differences an e4e had learned; all of them in a file without a step.

    The state dict does not say: originally a half-trained encoder loads as finished
    and adds differences that nobody trained. Without progressive options there
    were no stages.
    """
    finished = styles - 1
    starts: list[int] | None = options.get("progressive_steps")
    if not starts and options.get("progressive_start"):
        first, every = options["progressive_start"], options.get("progressive_step_every", 2_000)
        starts = [0, *range(first, first + every * finished, every)]
    if step is None or not starts:
        return finished
    return min(max(sum(step >= start for start in starts) - 1, 0), finished)


def _pair(key: str) -> Pair:
    counter = np.zeros if key.endswith("num_batches_tracked") else None  # of no use here
    return Pair(PREFIX + key, key, fallback=counter)


def _shape(theirs: Arrays, form: str, rows: tuple[int, int]) -> Architecture:
    styles, latent = rows
    if form != "styles":
        return Architecture(styles=styles, latent=latent, trunk=_trunk(theirs))
    halvings = count(theirs, "encoder.styles.0.convs.{}.weight", range(0, 32, 2))
    return Architecture(16 * 2**halvings, styles, latent, _trunk(theirs))


def _trunk(theirs: Arrays) -> TrunkShape:
    stem, inputs = (side(theirs, "encoder.input_layer.0.weight", axis, WHAT) for axis in (0, 1))
    if inputs != 3:
        raise BadModel(f"{WHAT} reads {inputs} channels, drawings or label maps instead of photos")
    units = count(theirs, "encoder.body.{}.res_layer.3.weight", range(256))
    widths = [side(theirs, f"encoder.body.{n}.res_layer.3.weight", 0, WHAT) for n in range(units)]
    stages = [(width, len(list(same))) for width, same in groupby(widths)]
    hidden = theirs.get("encoder.body.0.res_layer.5.fc1.weight")
    if len(stages) != 4 or hidden is None or not len(hidden):
        raise BadModel(f"{WHAT} has another trunk than IR-SE, the only one that mien knows")
    (first, one), (second, two), (third, three), (fourth, four) = stages
    return TrunkShape(
        (stem, first, second, third, fourth), (one, two, three, four), first // len(hidden)
    )

"""TensorFlow StyleGAN2 networks, under the names of their PyTorch successor.

The variables of NVlabs/stylegan2 and stylegan2-ada, as stylegan2-ada-pytorch's
`legacy.py` reads them: dense matrices are transposed, convolutions are HWIO, those
that upsample are reversed in both spatial axes, and style biases are stored without
the 1 that is added in the code.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from mien.published._table import Arrays, Options
from mien.published._values import Refused, printable

FILTER = np.outer((1, 3, 3, 1), (1, 3, 3, 1)).astype(np.float32) / 64
LAYERS = {"Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb", "Skip": "skip"}
LAYER = re.compile(r"(\d{1,4})x\1/(Conv|Conv0_up|Conv1|ToRGB|Skip)/(\w+)")
DENSE = re.compile(r"(Dense\d{1,2}|LabelEmbed)/(weight|bias)")
NOISE = re.compile(r"noise(\d{1,2})")
OPTIONS = {  # that no tensor shows, and their defaults
    "normalize_latents": True, "mapping_nonlinearity": "lrelu", "nonlinearity": "lrelu",
    "resample_kernel": [1, 3, 3, 1],
}  # fmt: skip


def to_nvidia(variables: Arrays, config: Options) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(tensors under stylegan2-ada-pytorch's names, options of its constructor).

    variables: as `read` gives them, "synthesis.4x4/Conv/weight" and its like; those of
    training alone are left out. config: keyword arguments of the original constructor.
    Raises Refused naming a variable or an option that mien's StyleGAN2 does not have.
    """
    check_options(config, OPTIONS)
    found: dict[str, np.ndarray] = {}
    for name, value in variables.items():
        part, _, rest = name.rpartition(".")
        if part == "mapping":
            found |= _mapping(rest, value)
        elif part == "synthesis":
            found |= _synthesis(rest, value)
        elif name == "dlatent_avg":
            found["mapping.w_avg"] = value
        elif name != "lod":  # of progressive growing, which StyleGAN2 has not
            raise Refused(f"holds the variable {printable(name)}, which no StyleGAN2 has")
    return found | _filters(found), {
        "mapping_kwargs": {"lr_multiplier": config.get("mapping_lrmul", 0.01)},
        "synthesis_kwargs": {"conv_clamp": config.get("conv_clamp")},
    }


def check_options(config: Options, defaults: Options) -> None:
    """Refused when a network was built with another value of one of `defaults`."""
    for name, value in defaults.items():
        given = config.get(name, value)
        if given != value:
            shown = printable(json.dumps(given))
            raise Refused(f"was built with {name} = {shown}, which mien's networks are not")


def _mapping(name: str, value: np.ndarray) -> dict[str, np.ndarray]:
    match = DENSE.fullmatch(name)
    if match is None:
        raise Refused(f"holds the variable mapping/{printable(name)}, which no StyleGAN2 has")
    layer, what = match.groups()
    ours = "embed" if layer == "LabelEmbed" else f"fc{layer.removeprefix('Dense')}"
    return {f"mapping.{ours}.{what}": value.T if what == "weight" else value}


def _synthesis(name: str, value: np.ndarray) -> dict[str, np.ndarray]:
    if name == "4x4/Const/const":
        return {"synthesis.b4.const": value[0]}
    noise, layer = NOISE.fullmatch(name), LAYER.fullmatch(name)
    if noise is not None:  # 0 at 4 px, then two a level
        number = int(noise[1])
        level = 2 ** ((number + 5) // 2)
        return {f"synthesis.b{level}.conv{(number + 1) % 2}.noise_const": value[0, 0]}
    if layer is None:
        raise Refused(f"holds the variable synthesis/{printable(name)}, which no StyleGAN2 has")
    return _layer(f"synthesis.b{layer[1]}.{LAYERS[layer[2]]}", layer[2], layer[3], value)


def _layer(place: str, kind: str, what: str, value: np.ndarray) -> dict[str, np.ndarray]:
    if what == "weight":
        turned = value[::-1, ::-1] if kind == "Conv0_up" else value
        return {f"{place}.weight": turned.transpose(3, 2, 0, 1)}
    changes: Mapping[str, tuple[str, np.ndarray]] = {
        "bias": ("bias", value),
        "noise_strength": ("noise_strength", value),
        "mod_weight": ("affine.weight", value.T),
        "mod_bias": ("affine.bias", value + 1),
    }
    if what not in changes:
        raise Refused(f"holds the variable {printable(what)} in {place}, which no StyleGAN2 has")
    name, changed = changes[what]
    return {f"{place}.{name}": changed}


def _filters(found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The resampling filter that the PyTorch network stores at every level."""
    levels = [int(match[1]) for key in found if (match := re.match(r"synthesis\.b(\d+)\.", key))]
    last = max(levels, default=4)
    count = int(math.log2(last)) - 1
    return {f"synthesis.b{4 << n}.resample_filter": FILTER for n in range(count)}

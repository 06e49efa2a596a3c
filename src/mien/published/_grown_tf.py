"""TensorFlow PGGAN and StyleGAN networks, under genforce's names.

The variables of tkarras/progressive_growing_of_gans and NVlabs/stylegan: dense
matrices are transposed, convolutions are HWIO, and PGGAN's first layer, a dense one
in the original, becomes a 4x4 convolution with its axes reversed.
"""

from __future__ import annotations

import re

import numpy as np

from mien.published._table import Arrays
from mien.published._values import Refused, printable

LAYER = re.compile(r"(\d{1,4})x\1/(Const|Dense|Conv|Conv0|Conv0_up|Conv1)/(.+)")
PICTURE = re.compile(r"ToRGB_lod(\d{1,2})/(weight|bias)")
DENSE = re.compile(r"Dense(\d{1,2})/(weight|bias)")
NOISE = re.compile(r"noise(\d{1,2})")
FIRST = ("Const", "Dense", "Conv0", "Conv0_up")  # of the two layers of a level
PARTS = {
    "weight": "weight",
    "bias": "bias",
    "const": "const",
    "Noise/weight": "apply_noise.weight",
    "StyleMod/weight": "style.weight",
    "StyleMod/bias": "style.bias",
}


def stylegan_to_genforce(variables: Arrays) -> dict[str, np.ndarray]:
    """Tensors under genforce's names, upsampling layers "fused" from 128 px.

    variables: as `read` gives them, "synthesis.4x4/Conv/weight" and its like.
    Raises Refused naming a variable that no such network has.
    """
    levels = _levels(variables, "synthesis.")
    found: dict[str, np.ndarray] = {}
    for name, value in variables.items():
        part, _, rest = name.rpartition(".")
        if name == "dlatent_avg":
            found["truncation.w_avg"] = value
        elif part == "mapping":
            found |= _mapping(rest, value)
        elif part == "synthesis":
            found |= {f"synthesis.{key}": v for key, v in _synthesis(rest, value, levels).items()}
        elif name != "lod":
            raise Refused(f"holds the variable {printable(name)}, which no StyleGAN has")
    lod = variables.get("synthesis.lod", variables.get("lod", np.zeros((), np.float32)))
    return found | {"synthesis.lod": lod} | _blurs(found, levels)


def pggan_to_genforce(variables: Arrays) -> dict[str, np.ndarray]:
    """Tensors under genforce's names.

    Raises Refused naming a variable that no such network has.
    """
    levels = _levels(variables, "")
    found = {"lod": variables.get("lod", np.zeros((), np.float32))}
    for name, value in variables.items():
        if name != "lod":
            found |= _synthesis(name, value, levels)
    return found


def _levels(variables: Arrays, prefix: str) -> int:
    found = (PICTURE.fullmatch(name.removeprefix(prefix)) for name in variables)
    return 1 + max((int(match[1]) for match in found if match), default=0)


def _mapping(name: str, value: np.ndarray) -> dict[str, np.ndarray]:
    if name == "LabelConcat/weight":
        return {"mapping.label_weight": value}
    match = DENSE.fullmatch(name)
    if match is None:
        raise Refused(f"holds the variable mapping/{printable(name)}, which no StyleGAN has")
    return {f"mapping.dense{match[1]}.{match[2]}": _turned(value)}


def _synthesis(name: str, value: np.ndarray, levels: int) -> dict[str, np.ndarray]:
    noise, picture, layer = (form.fullmatch(name) for form in (NOISE, PICTURE, LAYER))
    if noise is not None:
        return {f"layer{noise[1]}.apply_noise.noise": value}
    if picture is not None:
        return {f"output{levels - 1 - int(picture[1])}.{picture[2]}": _turned(value)}
    if name == "lod":
        return {}
    if layer is None or layer[3] not in PARTS:
        raise Refused(f"holds the variable {printable(name)}, which no PGGAN or StyleGAN has")
    number = 2 * (int(layer[1]).bit_length() - 3) + (layer[2] not in FIRST)
    turned = _start(value) if layer[2] == "Dense" and value.ndim == 2 else _turned(value)
    return {f"layer{number}.{PARTS[layer[3]]}": value if layer[3] == "const" else turned}


def _turned(value: np.ndarray) -> np.ndarray:
    """[I, O] -> [O, I]; HWIO -> OIHW; vectors stay."""
    return value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T


def _start(value: np.ndarray) -> np.ndarray:
    """[D, 16 C] -> [C, D, 4, 4], reversed."""
    return value.reshape(len(value), -1, 4, 4).transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]


def _blurs(found: Arrays, levels: int) -> dict[str, np.ndarray]:
    from mien.published._grown import blur_kernel

    names = {n: f"synthesis.layer{2 * n}" for n in range(1, levels)}
    return {
        f"{name}.blur.kernel": blur_kernel(len(found[f"{name}.bias"]))
        for name in names.values()
        if f"{name}.bias" in found
    }

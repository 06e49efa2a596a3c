"""TensorFlow PGGAN and StyleGAN networks, under genforce's names.

The variables of tkarras/progressive_growing_of_gans and NVlabs/stylegan: dense
matrices are transposed, convolutions are HWIO, and PGGAN's first layer, a dense one
in the original, becomes a 4x4 convolution with its axes reversed.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from mien.published._pairs import blur_kernel
from mien.published._table import Arrays, Options
from mien.published._tensorflow import check_options
from mien.published._values import Refused, printable

SIZES = "|".join(str(4 << n) for n in range(12))
LAYER = re.compile(rf"({SIZES})x\1/(Const|Dense|Conv|Conv0|Conv0_up|Conv1)/(.+)")
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
# options of the constructors that no tensor shows, and their defaults
PGGAN = {
    "label_size": 0, "normalize_latents": True, "use_wscale": True, "use_pixelnorm": True,
    "use_leakyrelu": True, "pixelnorm_epsilon": 1e-8,
}  # fmt: skip
STYLEGAN = {
    "normalize_latents": True, "use_wscale": True, "mapping_nonlinearity": "lrelu",
    "nonlinearity": "lrelu", "use_styles": True, "use_pixel_norm": False,
    "use_instance_norm": True, "blur_filter": [1, 2, 1],
}  # fmt: skip
CUTOFF = 8  # layers that StyleGAN truncates where only its psi is given


def stylegan_to_genforce(
    variables: Arrays, config: Options
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(tensors under genforce's names, options of genforce's constructor).

    variables: as `read` gives them, "synthesis.4x4/Conv/weight" and its like.
    config: keyword arguments of the original constructor.
    Raises Refused naming a variable or an option that mien's StyleGAN does not have.
    """
    check_options(config, STYLEGAN)
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
    lod = variables.get("lod", np.zeros((), np.float32))  # each run copies it to the synthesis
    return found | {"synthesis.lod": lod} | _blurs(found, levels), {
        "mapping_lr_mul": config.get("mapping_lrmul", 0.01),
        "fused_scale": config.get("fused_scale", "auto"),
        "truncation_psi": config.get("truncation_psi"),
        "truncation_layers": config.get("truncation_cutoff", CUTOFF),
    }


def pggan_to_genforce(
    variables: Arrays, config: Options
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(tensors under genforce's names, options of genforce's constructor).

    Raises Refused naming a variable or an option that mien's PGGAN does not have.
    """
    check_options(config, PGGAN)
    levels = _levels(variables, "")
    found = {"lod": variables.get("lod", np.zeros((), np.float32))}
    for name, value in variables.items():
        if name != "lod":
            found |= _synthesis(name, value, levels)
    return found, {"fused_scale": "8x8/Conv0_up/weight" in variables}


def _levels(variables: Arrays, prefix: str) -> int:
    found = (LAYER.fullmatch(name.removeprefix(prefix)) for name in variables)
    return max((int(match[1]).bit_length() - 2 for match in found if match), default=1)


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
    """[I, O] -> [O, I]; HWIO -> OIHW; vectors stay. PGGAN's fused HWOI becomes IOHW, genforce's."""
    return value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T


def _start(value: np.ndarray) -> np.ndarray:
    """[D, 16 C] -> [C, D, 4, 4], reversed."""
    if value.shape[1] % 16:
        raise Refused(f"holds 4x4/Dense/weight of shape {list(value.shape)}, expected [D, 16 C]")
    return value.reshape(len(value), -1, 4, 4).transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]


def _blurs(found: Arrays, levels: int) -> dict[str, np.ndarray]:
    names = {n: f"synthesis.layer{2 * n}" for n in range(1, levels)}
    return {
        f"{name}.blur.kernel": blur_kernel(len(found[f"{name}.bias"]))
        for name in names.values()
        if f"{name}.bias" in found
    }

"""Which published format a file's content is, told by the names of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mien.published._tree import flatten, plain
from mien.published._values import LEAVES, Array, Leaf, Record, Refused, Tensor, printable


class Kind(StrEnum):
    """The formats that `read` knows."""

    ROSINALITY = "rosinality"  # StyleGAN2 of rosinality/stylegan2-pytorch
    NVIDIA = "nvidia"  # StyleGAN2 of NVlabs/stylegan2-ada-pytorch
    NVIDIA_TF = "nvidia-tf"  # StyleGAN2 of NVlabs/stylegan2 and stylegan2-ada (TensorFlow)
    GENFORCE_STYLEGAN2 = "genforce-stylegan2"
    GENFORCE_STYLEGAN = "genforce-stylegan"  # of genforce, sefa or interfacegan
    GENFORCE_PGGAN = "genforce-pggan"
    PSP = "psp"  # encoder and StyleGAN2 of eladrich/pixel2style2pixel
    E4E = "e4e"  # the same of omertov/encoder4editing
    STARGAN = "stargan"  # yunjey/stargan and its variants
    STARGAN_DISCRIMINATOR = "stargan-discriminator"
    BOUNDARY = "boundary"  # InterFaceGAN's .npy
    DIRECTION = "direction"  # one tensor, as in encoder4editing
    GANSPACE = "ganspace"
    SEFA = "sefa"  # rosinality's closed_form_factorization
    STYLEGAN_TF = "stylegan-tf"  # StyleGAN of NVlabs/stylegan (TensorFlow)
    PGGAN_TF = "pggan-tf"  # PGGAN of tkarras/progressive_growing_of_gans (TensorFlow)


DIRECTIONS = frozenset({Kind.BOUNDARY, Kind.DIRECTION, Kind.GANSPACE, Kind.SEFA})
# the averaged generator before the one in training
WRAPPERS = ("g_ema", "G_ema", "generator_smooth", "generator", "g", "G", "state_dict")
PARTS = {"generator": WRAPPERS, "discriminator": ("d", "D", "discriminator")}
MARKS = (  # tensors that only one kind of network has
    (Kind.NVIDIA, ("synthesis.b4.const",)),
    (Kind.ROSINALITY, ("conv1.conv.modulation.weight",)),
    (Kind.GENFORCE_STYLEGAN2, ("synthesis.early_layer.const",)),
    (Kind.GENFORCE_STYLEGAN, ("synthesis.layer0.const", "synthesis.layer0.apply_noise.weight")),
    (Kind.GENFORCE_STYLEGAN, ("synthesis.layer0.first_layer",)),
    (Kind.GENFORCE_PGGAN, ("layer0.weight", "output0.weight")),
    (Kind.GENFORCE_PGGAN, ("layer0.conv.weight", "output0.conv.weight")),
    (Kind.NVIDIA_TF, ("synthesis.4x4/Const/const", "synthesis.4x4/Conv/mod_weight")),
    (Kind.STYLEGAN_TF, ("synthesis.4x4/Const/const", "synthesis.4x4/Const/StyleMod/weight")),
    (Kind.PGGAN_TF, ("4x4/Dense/weight", "ToRGB_lod0/weight")),
    (Kind.STARGAN_DISCRIMINATOR, ("main.0.bias", "conv1.weight", "conv2.weight")),
    (Kind.STARGAN, ("main.0.weight", "main.1.weight", "main.3.weight")),
    (Kind.STARGAN, ("L1.weight", "L2.gain.weight")),  # DLIM2020's lookup-table norm
)
GANSPACE = ({"comp", "mean", "std"}, {"lat_comp", "lat_mean", "lat_stdev"})
OPTIONS = (
    "opts", "args", "training_set_kwargs", "iteration", "global_step", "ckpt", "config", "ada_aug_p"
)  # fmt: skip
ENCODER4EDITING = "Encoder4Editing"


@dataclass(frozen=True)
class Found:
    """A file's network before its numbers are read."""

    kind: Kind
    leaves: dict[str, Leaf]
    extras: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)


def recognise(value: Any) -> Found:
    """The network or directions in a file's content.

    Raises Refused, with the first keys, when it is nothing that mien knows.
    """
    if isinstance(value, LEAVES):
        return _lone(value)
    if isinstance(value, dict) and any(names <= value.keys() for names in GANSPACE):
        return Found(Kind.GANSPACE, _leaves(value), _extras(value))
    if isinstance(value, dict) and isinstance(value.get("eigvec"), Tensor):
        return Found(Kind.SEFA, _leaves(value), _extras(value))
    if isinstance(value, dict) and _decoder(value.get("state_dict")):
        return _encoder(value)
    return _network(value)


def part_of(value: Any, part: str) -> dict[str, Leaf]:
    """The tensors of a file's "generator" or "discriminator" by their original names.

    Raises Refused when the file holds no such part.
    """
    network = _wrapped(value, PARTS[part])
    if network is None:
        raise Refused(f"holds no {part}")
    return _bare(flatten(network))


def _lone(value: Leaf) -> Found:
    kind = Kind.BOUNDARY if isinstance(value, Array) else Kind.DIRECTION
    rows = value.shape[0] if len(value.shape) > 1 else 1
    if not 1 <= len(value.shape) <= 3 or rows != 1:
        raise Refused(
            f"is an array of shape {value.shape}, expected one direction: [1, D], [D] or [1, L, D]"
        )
    return Found(kind, {kind.value: value})


def _encoder(value: dict[Any, Any]) -> Found:
    extras = _extras(value)
    options = extras.get("opts")
    encoder = options.get("encoder_type") if isinstance(options, dict) else None
    kind = Kind.E4E if encoder == ENCODER4EDITING else Kind.PSP
    return Found(kind, flatten(value["state_dict"]) | _average(value), extras)


def _network(value: Any) -> Found:
    network = _wrapped(value, WRAPPERS)
    leaves = _bare(flatten(value if network is None else network))
    kind = next((kind for kind, keys in MARKS if all(key in leaves for key in keys)), None)
    if kind is None:
        keys = list(leaves) or list(value if isinstance(value, dict) else ())
        first = ", ".join(printable(key) for key in keys[:3]) or "none"
        raise Refused(f"holds no network that mien knows (its first tensors: {first})")
    return Found(kind, leaves | _average(value), _extras(value), _config(network))


def _wrapped(value: Any, names: tuple[str, ...]) -> Any:
    """What lies under the first of `names`; the last of a TensorFlow triple (its average)."""
    if isinstance(value, tuple | list) and value and isinstance(value[-1], Record):
        return value[-1] if names is WRAPPERS else value[1] if len(value) > 1 else None
    if isinstance(value, Record) and names is WRAPPERS:
        return value
    if not isinstance(value, dict):
        return None
    return next((value[n] for n in names if isinstance(value.get(n), dict | Record)), None)


def _decoder(state: Any) -> bool:
    return isinstance(state, dict) and any(str(key).startswith("decoder.") for key in state)


def _bare(leaves: Mapping[str, Leaf]) -> dict[str, Leaf]:
    """Without the prefix that DataParallel gives every name."""
    wrapped = leaves and all(name.startswith("module.") for name in leaves)
    return {name.removeprefix("module.") if wrapped else name: v for name, v in leaves.items()}


def _average(value: Any) -> dict[str, Leaf]:
    average = value.get("latent_avg") if isinstance(value, dict) else None
    return {"latent_avg": average} if isinstance(average, LEAVES) else {}


def _leaves(value: Mapping[Any, Any]) -> dict[str, Leaf]:
    return {str(key): leaf for key, leaf in value.items() if isinstance(leaf, LEAVES)}


def _extras(value: Any) -> dict[str, Any]:
    held = value if isinstance(value, dict) else {}
    return {name: plain(held[name]) for name in OPTIONS if name in held}


def _config(network: Any) -> dict[str, Any]:
    """Arguments of the original constructor, which stylegan2-ada and TF networks carry."""
    state = network.state if isinstance(network, Record) else {}
    found = plain(state.get("_init_kwargs") or state.get("static_kwargs") or {})
    return found if isinstance(found, dict) else {}

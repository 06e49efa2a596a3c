"""What the spaces of PGGAN and StyleGAN share: opening, batches, refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from mien.checkpoint import load_model
from mien.errors import BadInput, BadModel

Shape = TypeVar("Shape")
Network = TypeVar("Network", bound=nn.Module)
PIXELS = 2**18  # of a batch of faces: larger ones leave the cache, smaller ones reread weights


def open_network(
    folder: Path, shape: type[Shape], network: Callable[[Shape], Network]
) -> tuple[Network, dict[str, Any]]:
    """(network with the folder's weights, card).

    Raises BadModel when the card's options or the tensors do not fit.
    """
    tensors, card = load_model(folder)
    options = card.get("options", {})
    known = {field.name for field in fields(shape)}  # type: ignore[arg-type]
    strange = sorted(options.keys() - known)
    if strange:
        raise BadModel(f"the card of {folder} has the unknown option {strange[0]}; import it again")
    try:
        made = network(shape(**options))
        made.load_state_dict({key: torch.from_numpy(value) for key, value in tensors.items()})
    except (RuntimeError, BadInput) as error:
        raise BadModel(f"{folder} does not hold the network its card describes") from error
    return made, card


def decode_in_batches(
    values: np.ndarray, size: int, decode: Callable[[torch.Tensor], torch.Tensor]
) -> np.ndarray:
    """Faces float32 [N, 3, size, size], clipped to [-1, 1], a few at a time."""
    step = max(1, min(32, PIXELS // size**2))
    parts = [np.zeros((0, 3, size, size), np.float32)]
    with torch.inference_mode():
        for start in range(0, len(values), step):
            faces = decode(torch.from_numpy(values[start : start + step]))
            parts.append(faces.float().clamp(-1, 1).contiguous().numpy())
    return np.concatenate(parts)


def refuse_to_encode(name: str) -> BadInput:
    """What a generator without an encoder answers."""
    return BadInput(
        f"{name} cannot read a photo by itself; find its latent with an inverter "
        "(an encoder trained for this generator, or optimisation)"
    )

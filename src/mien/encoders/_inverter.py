"""An encoder attached to the generator whose latents it finds."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mien.checkpoint import load_model
from mien.encoders._pyramid import Architecture
from mien.errors import BadInput, BadModel
from mien.generators._examples import example_faces
from mien.generators.layers.fold import fold_norms
from mien.recognise.ir_se import TrunkShape
from mien.runtime import engine
from mien.runtime.engine import Runner
from mien.runtime.quantise import quantised

BATCH = 8  # faces encoded at once
# Some photos take some layers half as far again as drawn faces do; without room their codes were
# up to 5 % off in 8 bits, with it every one of 32 was within 1 %.
ROOM = 1.5


class Inverter:
    """Finds w+ by one pass of a network.

    card: of the encoder. size: px of the faces that the network reads; larger ones
    are averaged down.
    """

    def __init__(self, network: nn.Module, card: dict[str, Any], average: torch.Tensor) -> None:
        """average: the generator's w [D] that a centred encoder gives differences from."""
        self.network = network.eval().requires_grad_(False)
        fold_norms(self.network)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._half: nn.Module | None = None
        self._runner = Runner(self.network, self._rounded)
        self.card, self.size = card, int(card["options"]["size"])
        self.styles = int(card["options"]["styles"])
        self.average = average if card["centred"] else torch.zeros_like(average)

    def codes(self, faces: np.ndarray) -> np.ndarray:
        """Faces float32 [N, 3, S, S] in [-1, 1] -> w+ float32 [N, L, D]."""
        width = len(self.average)
        parts = [np.zeros((0, self.styles, width), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(faces), BATCH):
                batch = torch.from_numpy(np.ascontiguousarray(faces[start : start + BATCH]))
                parts.append(self.read(batch).contiguous().numpy())
        return np.concatenate(parts)

    def read(self, faces: torch.Tensor) -> torch.Tensor:
        """`codes` of tensors, with gradients where they are wanted."""
        if faces.shape[2] != self.size:
            faces = F.adaptive_avg_pool2d(faces, self.size)
        found = self._run(faces.contiguous(memory_format=torch.channels_last)).float()
        if found.ndim == 2:  # one style for all rows
            found = found[:, None].expand(-1, self.styles, -1)
        return found + self.average

    def _run(self, faces: torch.Tensor) -> torch.Tensor:
        """In bf16 where the caller's autocast says so, from weights that are cast once."""
        found: torch.Tensor
        if engine.current() != "torch" and not torch.is_grad_enabled():
            return self._runner(faces)
        if not torch.is_autocast_enabled(faces.device.type):
            found = self.network(faces)
            return found
        if self._half is None:
            self._half = halved(self.network)
        with torch.autocast(faces.device.type, enabled=False):
            found = self._half(faces.bfloat16())
        return found

    def _rounded(self) -> nn.Module:
        """The network with convolutions in 8 bits."""
        faces = example_faces(self.size)
        return quantised(self.network, lambda network: network(faces), ROOM)


def halved(network: nn.Module) -> nn.Module:
    """A copy in bf16, but for normalisation and the equalised last layers."""
    copied = copy.deepcopy(network)
    for layer in copied.modules():
        if isinstance(layer, nn.Conv2d | nn.PReLU | nn.Linear):
            layer.bfloat16()
    return copied


def open_network(
    folder: Path, kinds: Mapping[str, Callable[[Architecture], nn.Module]]
) -> tuple[nn.Module, dict[str, Any]]:
    """(encoder with the folder's weights, card); kinds: networks by the card's "form".

    Raises BadModel when the card and the tensors do not fit.
    """
    tensors, card = load_model(folder)
    try:
        options = dict(card["options"])
        sizes = options["trunk"].items()
        trunk: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in sizes}
        network = kinds[card["form"]](Architecture(**{**options, "trunk": TrunkShape(**trunk)}))
        network.load_state_dict({key: torch.from_numpy(value) for key, value in tensors.items()})
    except (KeyError, TypeError, RuntimeError, BadInput) as error:
        raise BadModel(f"{folder} does not hold the encoder its card describes") from error
    return network, card

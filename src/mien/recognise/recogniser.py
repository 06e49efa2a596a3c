"""The 40-attribute classifier: a trunk, mean pooling, one logit an attribute, calibration.

Two are embedded: "recogniser" (MobileNetV2), which fits and calibrates
directions, and "judge" (EfficientNet-Lite0), which only ever judges edits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mien.checkpoint import find_model, load_model
from mien.checks import check_faces
from mien.errors import BadInput, BadModel
from mien.recognise import efficientnet_lite0, mobilenet_v2
from mien.recognise.imagenet import Trunks, normalise
from mien.runtime.engine import Runner

Trunk = mobilenet_v2.Trunk | efficientnet_lite0.Trunk
ARCHITECTURES: dict[str, Trunks[Trunk]] = {
    "mobilenet_v2": mobilenet_v2,
    "efficientnet_lite0": efficientnet_lite0,
}


class Network(nn.Module):
    """Faces [N, 3, S, S] in [-1, 1] to logits [N, M]."""

    def __init__(self, trunk: nn.Module, attributes: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.trunk = trunk
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(mobilenet_v2.CHANNELS, attributes)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """Uncalibrated logits."""
        features = self.trunk(normalise(faces)).mean(dim=(2, 3))
        logits: torch.Tensor = self.head(self.dropout(features))
        return logits


class Recogniser:
    """A trained network with its vocabulary and calibration (logit * scale + shift).

    Calibration: Platt, "Probabilistic outputs for support vector machines" (1999),
    one scale and shift an attribute, fitted on the valid split.
    """

    def __init__(
        self, network: nn.Module, names: tuple[str, ...], scale: np.ndarray, shift: np.ndarray,
        size: int, card: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.network = network.eval()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._run = Runner(self.network)
        self.names, self.scale, self.shift, self.size = names, scale, shift, size
        self.card = card or {}

    def logits(self, faces: np.ndarray, batch: int = 64) -> np.ndarray:
        """Uncalibrated logits float32 [N, M], averaged over each face and its mirror image.

        faces: float32 [N, 3, S, S] in [-1, 1], S the size the network was trained at.
        """
        check_faces(faces)
        if faces.shape[2] != self.size:
            raise BadInput(f"faces are {faces.shape[2]} px, this recogniser reads {self.size} px")
        with torch.inference_mode():
            parts = [self._both(torch.from_numpy(part)) for part in _batches(faces, batch)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.names)), np.float32)

    def probabilities(self, faces: np.ndarray, batch: int = 64) -> np.ndarray:
        """Calibrated probabilities float32 [N, M] in [0, 1]; arguments as for `logits`."""
        calibrated = self.logits(faces, batch) * self.scale + self.shift
        return np.asarray(1 / (1 + np.exp(-calibrated)), np.float32)

    def score(self, faces: torch.Tensor) -> torch.Tensor:
        """Calibrated logits fp32 [N, M] of faces [N, 3, S, S]; gradients reach the faces."""
        logits: torch.Tensor = self.network(faces.contiguous(memory_format=torch.channels_last))
        scale, shift = (torch.from_numpy(x).to(logits.device) for x in (self.scale, self.shift))
        return logits.float() * scale + shift

    def _both(self, faces: torch.Tensor) -> np.ndarray:
        faces = faces.contiguous(memory_format=torch.channels_last)
        out = (self._run(faces) + self._run(faces.flip(3))) / 2
        return np.asarray(out.float().numpy())


def open_recogniser(name_or_folder: str | Path = "recogniser") -> Recogniser:
    """Open an embedded recogniser ("recogniser", "judge") or one trained by `mien train`."""
    tensors, card = load_model(find_model(name_or_folder))
    if card["kind"] != "recogniser" or card["architecture"] not in ARCHITECTURES:
        raise BadModel(f"{name_or_folder} is a {card['kind']}, not a recogniser")
    scale, shift = tensors.pop("calibration.scale"), tensors.pop("calibration.shift")
    names = tuple(card["attributes"])
    network = Network(ARCHITECTURES[card["architecture"]].Trunk(), len(names))
    network.load_state_dict({key: torch.from_numpy(value) for key, value in tensors.items()})
    network.requires_grad_(False)
    return Recogniser(network, names, scale, shift, card["input"]["size"], card)


def _batches(faces: np.ndarray, batch: int) -> list[np.ndarray]:
    return [faces[start : start + batch] for start in range(0, len(faces), batch)]

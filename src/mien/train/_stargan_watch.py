"""What is seen of a StarGAN while it trains: photos under every target."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mien.faces.cache import to_bytes
from mien.files import atomic_open
from mien.generators.stargan import Generator
from mien.runtime.precision import quickest
from mien.train._stargan_state import State


def save_grid(path: Path, state: State, faces: np.ndarray, labels: list[torch.Tensor]) -> None:
    """Write a PNG, atomically: each face [N, 3, S, S] a row, first as it is, then every target.

    labels: the faces' labels [N, c], one tensor for each of the first parts; classes of
    further ones are asked for as they are.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [faces]
    for part, vocabulary in enumerate(state.vocabulary.parts):
        blank = torch.zeros(len(faces), len(vocabulary.names))
        for target in vocabulary.targets(labels[part] if part < len(labels) else blank):
            vectors = state.vocabulary.vector(target, part)
            columns.append(_translated(state.averaged.module, faces, vectors))
    pixels = [np.concatenate(to_bytes(column)) for column in columns]
    with atomic_open(path) as handle:
        Image.fromarray(np.concatenate(pixels, axis=1)).save(handle, "PNG")


@torch.inference_mode()
def _translated(network: Generator, faces: np.ndarray, vectors: torch.Tensor) -> np.ndarray:
    device = next(network.parameters()).device
    with quickest(device.type):
        made = network(torch.from_numpy(faces).to(device), vectors.to(device))
    return np.asarray(made.cpu())

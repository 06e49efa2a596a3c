"""Let a recogniser read faces of another size than it was trained at."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from mien.checks import check_faces


class Reads(Protocol):
    """What is needed of a recogniser."""

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes, in the order of the columns."""
        ...

    @property
    def size(self) -> int:
        """Pixels of a face's side."""
        ...

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """Faces float32 [N, 3, size, size] -> float32 [N, M] in [0, 1]."""
        ...


class AnySize:
    """A recogniser behind a resize; probabilities of blown-up small faces are less sure."""

    def __init__(self, recogniser: Reads) -> None:
        self.recogniser = recogniser
        self.names, self.size = recogniser.names, recogniser.size

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """Float32 [N, M] in [0, 1] of faces float32 [N, 3, S, S] in [-1, 1], any S."""
        return self.recogniser.probabilities(resized(faces, self.size))


def resized(faces: np.ndarray, size: int) -> np.ndarray:
    """Faces float32 [N, 3, size, size] of faces [N, 3, S, S], bilinear and antialiased."""
    check_faces(faces)
    if faces.shape[2] == size:
        return faces
    if not len(faces):
        return np.zeros((0, 3, size, size), np.float32)
    import torch
    import torch.nn.functional as F

    with torch.inference_mode():
        out = F.interpolate(
            torch.from_numpy(np.ascontiguousarray(faces)), size=(size, size), mode="bilinear",
            antialias=True, align_corners=False,
        )  # fmt: skip
    return np.asarray(out.clamp(-1, 1).numpy())

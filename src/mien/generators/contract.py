"""What every latent space offers, and every translator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mien.types import Latent

if TYPE_CHECKING:
    from mien.generators._labels import Vocabulary


class Space(Protocol):
    """The latent space of one generator.

    card: the model's card. mark: name and short hash of its weights. space:
    "z", "w" or "w+". size: pixels of a face's side. frame: "celeba" or "ffhq".
    """

    card: dict[str, Any]
    mark: str
    space: str
    size: int
    frame: str

    def encode(self, faces: np.ndarray) -> Latent:
        """Faces float32 [N, 3, size, size] in [-1, 1] -> N latents."""
        ...

    def decode(self, latent: Latent) -> np.ndarray:
        """N latents -> faces float32 [N, 3, size, size] in [-1, 1].

        Raises SpaceMismatch for a latent of another space.
        """
        ...

    def sample(self, count: int, seed: int = 0, truncation: float = 1.0) -> Latent:
        """`count` latents drawn from the prior; the same seed gives the same latents.

        truncation: their distance from the prior's mean is multiplied by it.
        """
        ...


class Translator(Protocol):
    """Faces to faces with other attributes, without a latent.

    card, mark, size, frame: as a space's. names: all attributes it can be asked for.
    vocabulary: its parts, one a data set it learned from. soft: what it changes has no detail
    of its own, so that a larger photo may keep all of its.
    """

    card: dict[str, Any]
    mark: str
    size: int
    frame: str
    names: tuple[str, ...]
    vocabulary: Vocabulary
    soft: bool

    def translate(self, faces: np.ndarray, labels: np.ndarray, part: int = 0) -> np.ndarray:
        """Faces float32 [N, 3, size, size] in [-1, 1] with labels [N, c] of one part in [0, 1].

        Returns faces of the same shape and range.
        """
        ...

"""What faces show while they move along one direction, as calibration reads it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.directions.contract import Decodes, Recognises
from mien.errors import UnknownName
from mien.types import Latent


@dataclass(frozen=True)
class Eye:
    """Decodes latents and reads probabilities, a batch at a time."""

    space: Decodes
    recogniser: Recognises
    batch: int

    def faces(self, latent: Latent) -> np.ndarray:
        """Faces [N, 3, S, S]."""
        starts = range(0, len(latent), self.batch)
        return np.concatenate([self.space.decode(latent[i : i + self.batch]) for i in starts])

    def read(self, faces: np.ndarray) -> np.ndarray:
        """Probabilities [N, M] of faces."""
        starts = range(0, len(faces), self.batch)
        read = self.recogniser.probabilities
        return np.concatenate([read(faces[i : i + self.batch]) for i in starts])

    def all(self, latent: Latent) -> np.ndarray:
        """Probabilities [N, M] of decoded latents."""
        return self.read(self.faces(latent))

    def column(self, name: str) -> int:
        """The column of one attribute."""
        if name not in self.recogniser.names:
            raise UnknownName("attribute of the recogniser", name, self.recogniser.names)
        return int(self.recogniser.names.index(name))

    def mean(self, latent: Latent, name: str) -> float:
        """Mean probability of one attribute."""
        return float(self.all(latent)[:, self.column(name)].mean())


@dataclass(frozen=True)
class Reading:
    """What moved faces show."""

    towards: float  # mean probability, negated when the attribute is removed
    agreed: float  # share of faces that now have, or lack, the attribute
    drift: float  # mean absolute change of the other attributes' logits


class Walk:
    """Readings along one vector, each length measured once.

    along: attribute, vector [D], 1 to add the attribute or -1 to remove it.
    """

    def __init__(self, see: Eye, latent: Latent, along: tuple[str, np.ndarray, float]) -> None:
        self.see, self.latent = see, latent
        self.name, self.vector, self.sign = along
        self.known: dict[float, Reading] = {}
        self.faces = see.faces(latent)
        self.plain = _logits(see.read(self.faces))

    def read(self, length: float) -> Reading:
        """What the faces show after moving by `length`."""
        if length not in self.known:
            self.known[length] = self._reading(self.see.read(self.moved(length)))
        return self.known[length]

    def moved(self, length: float) -> np.ndarray:
        """The faces [N, 3, S, S] after moving by `length`."""
        values = self.latent.flat + self.sign * length * self.vector
        return self.see.faces(self.latent.with_values(values))

    def of(self, latent: Latent) -> Walk:
        """The same way for other faces."""
        return Walk(self.see, latent, (self.name, self.vector, self.sign))

    def _reading(self, seen: np.ndarray) -> Reading:
        column = self.see.column(self.name)
        own = self.sign * seen[:, column]
        change = np.delete(np.abs(_logits(seen) - self.plain), column, axis=1)
        drift = float(change.mean()) if change.size else 0.0
        return Reading(float(own.mean()), float((own > self.sign * 0.5).mean()), drift)


def _logits(probabilities: np.ndarray) -> np.ndarray:
    """Finite logits, float64."""
    inside = np.clip(probabilities.astype(np.float64), 1e-6, 1 - 1e-6)
    return np.asarray(np.log(inside / (1 - inside)))

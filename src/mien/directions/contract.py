"""What the parts of this room share: labelled latents in, directions out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mien.checks import check_shape
from mien.errors import BadInput
from mien.types import Attributes, Directions, Latent


@dataclass(frozen=True)
class Labelled:
    """Latents [N, ...] of one space and the attributes [N, M] of the same faces."""

    latent: Latent
    attributes: Attributes

    def __post_init__(self) -> None:
        if len(self.latent) != len(self.attributes.table):
            raise BadInput(
                f"{len(self.latent)} latents but {len(self.attributes.table)} rows of attributes; "
                "give one row a face"
            )

    def rows(self, keep: np.ndarray | slice) -> Labelled:
        """The faces `keep` (indices, mask or slice)."""
        return Labelled(self.latent[keep], self.attributes.rows(keep))


class Finder(Protocol):
    """A part of this room: a module with a frozen dataclass `Options` and `find`.

    `find` returns uncalibrated directions: low and high are quantiles of the
    coordinates of the faces it was given, unit is high - low.
    """

    @property
    def Options(self) -> Any:  # noqa: N802 (a class)
        """The frozen dataclass of options, every field with a default."""
        ...

    def find(self, data: Labelled, options: Any) -> Directions:
        """Directions of the attributes in `data`."""
        ...


class Decodes(Protocol):
    """The one thing calibration asks of a space."""

    def decode(self, latent: Latent) -> np.ndarray:
        """Faces float32 [N, 3, S, S] in [-1, 1]."""
        ...


class Recognises(Protocol):
    """The one thing calibration asks of a recogniser."""

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes, in the order of the columns."""
        ...

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """Float32 [N, M] in [0, 1] of faces [N, 3, S, S]."""
        ...


@dataclass(frozen=True)
class Distribution:
    """Where the latents of real faces lie: a Gaussian with a few or all principal axes.

    mean: [D]; axes: [D, K] orthonormal columns; scales: [K] standard deviations
    along them; rest: the standard deviation in every direction orthogonal to
    the axes (infinity: not counted); radius: the Mahalanobis distance that an
    edit may not exceed.
    """

    mean: np.ndarray
    axes: np.ndarray
    scales: np.ndarray
    rest: float
    radius: float

    def __post_init__(self) -> None:
        check_shape(self.axes, (len(self.mean), None), "distribution axes")
        check_shape(self.scales, (self.axes.shape[1],), "distribution scales")
        if not (self.scales > 0).all() or not self.rest > 0 or not self.radius > 0:
            raise BadInput("distribution scales, rest and radius must be positive")


@dataclass(frozen=True)
class BoundedDirections(Directions):
    """Directions that know the distribution of the latents they were found on."""

    distribution: Distribution | None = None

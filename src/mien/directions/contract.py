"""What the parts of this room share: labelled latents in, directions out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from mien.checks import check_shape
from mien.errors import BadInput
from mien.types import Attributes, Directions, Latent


def _quiet(done: int, total: int, text: str) -> None:
    """Tell nobody how far a finder is."""


@dataclass(frozen=True)
class Labelled:
    """Latents [N, ...] of one space and the attributes [N, M] of the same faces.

    scores: float [N, M], how much of each attribute a face has (a recogniser's
    probabilities), where more than labels is known. source: the space that the
    latents come from, for finders that read its weights or decode. tell(done,
    total, text) is called by finders that take long.
    """

    latent: Latent
    attributes: Attributes
    scores: np.ndarray | None = None
    source: Any = None
    tell: Callable[[int, int, str], None] = _quiet

    def __post_init__(self) -> None:
        if len(self.latent) != len(self.attributes.table):
            raise BadInput(
                f"{len(self.latent)} latents but {len(self.attributes.table)} rows of attributes; "
                "give one row a face"
            )
        if self.scores is not None:
            check_shape(self.scores, self.attributes.table.shape, "scores")

    def rows(self, keep: np.ndarray | slice) -> Labelled:
        """The faces `keep` (indices, mask or slice)."""
        scores = None if self.scores is None else self.scores[keep]
        latent, attributes = self.latent[keep], self.attributes.rows(keep)
        return replace(self, latent=latent, attributes=attributes, scores=scores)

    def select(self, names: Sequence[str]) -> Labelled:
        """The same faces with only the attributes `names`, in that order."""
        columns = [self.attributes.index(name) for name in names]
        scores = None if self.scores is None else self.scores[:, columns]
        return replace(self, attributes=self.attributes.select(names), scores=scores)


def unlabelled(latent: Latent, source: Any = None) -> Labelled:
    """Latents of which no attribute is known, for finders that need none."""
    return Labelled(latent, Attributes((), np.zeros((len(latent), 0), np.int8)), source=source)


class Finder(Protocol):
    """A part of this room: a module with a frozen dataclass `Options` and `find`.

    `find` returns uncalibrated directions: low and high are quantiles of the
    coordinates of the faces it was given, unit is high - low. A part that asks
    for no labels says `LABELS = False`, and in `SAMPLES` how many latents it wants: it
    names its directions component_0, component_1, ... and its unit is the one
    usual for the method.
    """

    @property
    def Options(self) -> Any:  # noqa: N802 (a class)
        """The frozen dataclass of options, every field with a default."""
        ...

    def find(self, data: Labelled, options: Any) -> Directions:
        """Directions of the attributes in `data`."""
        ...


def needs_labels(part: Any) -> bool:
    """Whether a finder needs labelled faces (the default) or only latents or weights."""
    return bool(getattr(part, "LABELS", True))


class Styled(Protocol):
    """A space whose first affine layers can be factorised."""

    def style_weights(self) -> Sequence[np.ndarray]:
        """One float32 matrix [outputs, D] for each row of a latent [L, D], in that order.

        What the row is multiplied by first: the style layer that reads it, or for a
        latent [D] the one dense layer. Scales shared by a whole layer do not matter.
        """
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

"""The values that travel between rooms: frozen dataclasses with shapes.

Arrays are NumPy: rooms that need torch convert inside, so that reading a
gallery or a photo never pays for importing it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from mien.checks import check_finite, check_shape
from mien.errors import BadInput, SpaceMismatch, UnknownName


@dataclass(frozen=True)
class Face:
    """An aligned square crop and the way back into its photo.

    pixels: float32 [3, S, S] RGB in [-1, 1].
    matrix: float64 [2, 3], maps photo coordinates (x, y, 1) to face pixel
        coordinates (pixel centres at integer + 0.5 on both sides); the identity
        of the crop for images that were aligned already.
    frame: "celeba" or "ffhq".
    """

    pixels: np.ndarray
    matrix: np.ndarray
    frame: str


@dataclass(frozen=True)
class Attributes:
    """An ordered vocabulary and a table int8 [N, M]: 1 present, -1 absent, 0 unknown."""

    names: tuple[str, ...]
    table: np.ndarray

    def __post_init__(self) -> None:
        check_shape(self.table, (None, len(self.names)), "attribute table")
        if self.table.dtype != np.int8 or not np.isin(self.table, (-1, 0, 1)).all():
            raise BadInput("attribute table must be int8 with values 1, -1 or 0 (unknown)")

    def index(self, name: str) -> int:
        """Column of `name`; UnknownName suggests the nearest names."""
        if name not in self.names:
            raise UnknownName("attribute", name, self.names)
        return self.names.index(name)

    def column(self, name: str) -> np.ndarray:
        """int8 [N] of one attribute."""
        return self.table[:, self.index(name)]

    def select(self, names: Sequence[str]) -> Attributes:
        """The same faces with only `names`, in that order."""
        return Attributes(tuple(names), self.table[:, [self.index(n) for n in names]])

    def rows(self, keep: np.ndarray | slice) -> Attributes:
        """The same vocabulary over the faces `keep` (indices, mask or slice)."""
        return Attributes(self.names, self.table[keep])


@dataclass(frozen=True)
class Latent:
    """Latents of one space: float32 values [N, D] or [N, L, D].

    space: "z", "w", "w+" ...; model: the name and short hash of the weights
    they belong to, e.g. "vae-128@1a2b3c4d".
    """

    values: np.ndarray
    space: str
    model: str

    def __post_init__(self) -> None:
        if self.values.ndim not in (2, 3) or self.values.dtype != np.float32:
            raise BadInput(
                f"latent values are {self.values.dtype} {list(self.values.shape)}, "
                "expected float32 [N, D] or [N, L, D]"
            )
        check_finite(self.values, "latent")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def flat(self) -> np.ndarray:
        """float32 [N, L*D], row-major."""
        return self.values.reshape(len(self.values), -1)

    def with_values(self, values: np.ndarray) -> Latent:
        """Other values in the same space; flat rows are folded back to this shape."""
        folded = np.asarray(values, np.float32).reshape(-1, *self.values.shape[1:])
        return replace(self, values=folded)

    def __getitem__(self, rows: slice | np.ndarray) -> Latent:
        return replace(self, values=self.values[rows])


def check_same_space(what: str, got: tuple[str, str], other: str, want: tuple[str, str]) -> None:
    """Raise SpaceMismatch unless the two (space, model) marks are equal."""
    if got != want:
        raise SpaceMismatch(
            f"{what} is in {got[0]} of {got[1]}, {other} is in {want[0]} of {want[1]}; "
            f"encode or fit it again with {want[1]}"
        )


@dataclass(frozen=True)
class Directions:
    """Unit vectors in one space, one an attribute, as columns of F.

    vectors: float32 [D, M], unit columns over flattened latents.
    bias: float32 [M]; sign(w @ vectors + bias) classifies.
    low, high: float32 [M], the coordinates (w @ vectors) that presence 0 and 1
        stand for (see mien.directions.calibrate).
    unit: float32 [M], the latent length that an edit amount of 1 moves.
    unit_down: float32 [M], the length that an amount of -1 moves back; None = unit.
    orthonormal: whether vectors.T @ vectors is the identity (a basis).
    provenance: how they were found, plain JSON values.
    """

    names: tuple[str, ...]
    vectors: np.ndarray
    bias: np.ndarray
    low: np.ndarray
    high: np.ndarray
    unit: np.ndarray
    space: str
    model: str
    orthonormal: bool
    provenance: Mapping[str, object] = field(default_factory=dict)
    unit_down: np.ndarray | None = None

    def __post_init__(self) -> None:
        check_shape(self.vectors, (None, len(self.names)), "direction vectors")
        for name in ("bias", "low", "high", "unit"):
            check_shape(getattr(self, name), (len(self.names),), f"direction {name}")
        if self.unit_down is not None:
            check_shape(self.unit_down, (len(self.names),), "direction unit_down")
        lengths = np.linalg.norm(self.vectors.astype(np.float64), axis=0)
        if not np.allclose(lengths, 1, atol=1e-4):
            raise BadInput("direction vectors must have unit length")
        if self.orthonormal and not is_orthonormal(self.vectors):
            raise BadInput("these directions are not orthonormal, yet are marked as a basis")

    def index(self, name: str) -> int:
        """Column of `name`; UnknownName suggests the nearest names."""
        if name not in self.names:
            raise UnknownName("attribute", name, self.names)
        return self.names.index(name)

    @cached_property
    def double(self) -> np.ndarray:
        """float64 [D, M], the vectors, column after column."""
        return np.asfortranarray(self.vectors, np.float64)

    @cached_property
    def gram(self) -> np.ndarray:
        """float64 [M, M], products of the vectors with each other."""
        product: np.ndarray = self.double.T @ self.double
        return product

    def check_latent(self, latent: Latent) -> None:
        """Raise SpaceMismatch unless `latent` lives where these directions do."""
        check_same_space(
            "the latent", (latent.space, latent.model), "the direction", (self.space, self.model)
        )


def is_orthonormal(vectors: np.ndarray, tolerance: float = 1e-4) -> bool:
    """Whether the columns of `vectors` [D, M] are orthonormal."""
    gram = vectors.T.astype(np.float64) @ vectors
    return bool(np.abs(gram - np.eye(gram.shape[0])).max(initial=0) <= tolerance)


@dataclass(frozen=True)
class Query:
    """A face, how it should change, and what matters.

    latent: one face (N = 1). adjust: attribute -> wanted presence in [0, 1];
    what is not named is left alone. prefer: attribute -> weight >= 0 (default 1;
    0 = do not care). k: number of hits. semantics: "set" puts the coordinate
    of an adjusted attribute at its wanted presence, "add" moves it by the
    wanted presence's distance from the neutral middle (1 and 0 are half the
    range between the directions' low and high either way), "legacy" adds
    low + presence * (high - low) for a presence of exactly 0 or 1 and ignores
    others, as published code does.
    """

    latent: Latent
    adjust: Mapping[str, float] = field(default_factory=dict)
    prefer: Mapping[str, float] = field(default_factory=dict)
    k: int = 10
    semantics: str = "set"


@dataclass(frozen=True)
class Hit:
    """One ranked face; `attributes` and `rest` are shares that sum to `distance`."""

    id: str
    path: str
    distance: float
    attributes: Mapping[str, float]
    rest: float

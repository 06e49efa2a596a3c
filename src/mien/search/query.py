"""What a query asks for: its checks, and presence mapped to moves along a basis.

Zaeemzadeh et al., "Face Image Retrieval with Attribute Manipulation" (ICCV
2021): the adjustment moves the query by alpha along the directions, the
preference weighs each attribute's part of the distance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mien.errors import BadInput, UnknownName
from mien.types import Directions, Query

SEMANTICS = ("set", "add", "legacy")
HEAVIEST = 1e12  # a weight above it would only drown the other shares in rounding


def check_query(query: Query, directions: Directions) -> None:
    """Raise unless `query` can be answered with `directions`.

    UnknownName: an attribute the directions lack, or unknown semantics.
    SpaceMismatch: the latent lives elsewhere. BadInput: not exactly one face,
    adjust outside [0, 1], prefer negative or above 1e12, NaN, k < 1, or
    directions that are no orthonormal basis.
    """
    directions.check_latent(query.latent)
    if len(query.latent) != 1:
        raise BadInput(f"a query is one face, got {len(query.latent)} latents; ask one by one")
    if query.latent.flat.shape[1] != len(directions.vectors):
        raise BadInput(
            f"the query's latent has {query.latent.flat.shape[1]} numbers, "
            f"the directions {len(directions.vectors)}; encode the face again"
        )
    check_basis(directions)
    _check_numbers("adjust", query.adjust, directions, 1.0)
    _check_numbers("prefer", query.prefer, directions, HEAVIEST)
    _check_count(query.k)
    if query.semantics not in SEMANTICS:
        raise UnknownName("semantics", query.semantics, SEMANTICS)


def check_basis(directions: Directions) -> None:
    """Raise BadInput unless the directions are orthonormal: the decomposition needs a basis."""
    if not directions.orthonormal:
        raise BadInput(
            "these directions are not orthonormal, so shares of a distance are undefined; "
            "find with a basis, for example one fitted as orthogonal_basis"
        )


def wanted(query: Query, directions: Directions) -> np.ndarray:
    """float64 [M]: the wanted presence of each attribute, NaN where it is left alone."""
    row = np.full(len(directions.names), np.nan)
    for name, presence in query.adjust.items():
        row[directions.index(name)] = presence
    return row


def weights(query: Query, directions: Directions) -> np.ndarray:
    """float64 [M]: the preference weight of each attribute, 1 where none is given."""
    row = np.ones(len(directions.names))
    for name, weight in query.prefer.items():
        row[directions.index(name)] = weight
    return row


def moves(
    scores: np.ndarray, wanted: np.ndarray, directions: Directions, semantics: str = "set"
) -> np.ndarray:
    """float64 [Q, M]: alpha, the length each query moves along each direction.

    scores: [Q, M], the queries' coordinates w @ vectors. wanted: [Q, M],
    presence in [0, 1], NaN = leave alone (alpha 0).

    With low and high, the coordinates of presence 0 and 1:
    "set" puts the coordinate at the wanted presence, wherever it was,
        alpha = low + p (high - low) - score;
    "add" moves it by the presence's distance from the neutral middle, wherever
        it was, alpha = (p - 1/2) (high - low), so 1 and 0 are half a range
        either way and 1/2 is no move;
    "legacy" is the published reproduction's, with low and high the extreme
        coordinates of its train set, alpha = low + p (high - low) for p exactly
        0 or 1 and no move for any other p; being added, it overshoots.

    Raises UnknownName for other semantics.
    """
    low = directions.low.astype(np.float64)
    span = directions.high.astype(np.float64) - low
    if semantics == "set":
        alpha = low + wanted * span - scores
    elif semantics == "add":
        alpha = (wanted - 0.5) * span
    elif semantics == "legacy":
        alpha = legacy_moves(wanted, low + span, low)
    else:
        raise UnknownName("semantics", semantics, SEMANTICS)
    return np.where(np.isnan(wanted), 0.0, alpha)


def legacy_moves(adjust: np.ndarray, amax: np.ndarray, amin: np.ndarray) -> np.ndarray:
    """float64: the reproduction's alpha, adjust * (amax - amin) + amin where adjust is 0 or 1.

    adjust: [..., M]; any other entry (-1, 0.5, NaN) means "leave alone".
    """
    adjust = np.asarray(adjust, np.float64)
    low = np.asarray(amin, np.float64)
    active = (adjust == 0) | (adjust == 1)
    return np.where(active, adjust * (np.asarray(amax, np.float64) - low) + low, 0.0)


def _check_numbers(
    option: str, values: Mapping[str, float], directions: Directions, top: float
) -> None:
    for name, value in values.items():
        directions.index(name)
        if not (isinstance(value, int | float | np.floating) and 0 <= value <= top):
            reach = "in [0, 1]" if top == 1 else f"of 0 or more (at most {top:g})"
            raise BadInput(f"{option} {name}={value} cannot be used; give a number {reach}")


def _check_count(k: int) -> None:
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        shown = f"{k:g}" if isinstance(k, float) and math.isfinite(k) else repr(k)
        raise BadInput(f"k={shown} cannot be used; ask for at least 1 hit")

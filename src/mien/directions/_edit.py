"""Move latents along directions: the one editing step of mien."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mien.checks import check_shape
from mien.directions._distribution import shrink_movement, with_radius
from mien.directions.contract import BoundedDirections, Distribution
from mien.errors import BadInput
from mien.types import Directions, Latent

LEAST = 1e-3  # a projected direction shorter than this is rounding, not direction
LONGEST = 2.0  # units of latent length that an amount of 1 may cost when attributes are held


def edit(
    latent: Latent,
    directions: Directions,
    amounts: Mapping[str, float | np.ndarray],
    hold: Sequence[str] = (),
    limit: bool | float | Distribution | None = None,
) -> Latent:
    """Latents moved by `amounts` (attribute -> units, or float [N] for one amount a face).

    An amount of 1 moves the coordinate w @ f of its attribute by `unit`, -1 by `unit_down`
    back. The directions of the attributes in `hold` are projected out (closed-form least
    squares, any number; Shen et al., "Interpreting the Latent Space of GANs for
    Semantic Face Editing", CVPR 2020, section 3.3), so their coordinates stay; what is left is
    lengthened so that the edited coordinate still moves by its full amount, at
    most to twice the latent length. Movements add up: editing two attributes
    at once equals editing them one after the other.

    limit: None keeps the faces within the distribution the directions carry, if
    they carry one; True insists on it; False does not limit; a number is
    another Mahalanobis radius; a Distribution is used as it is. A movement that
    would leave it is shortened to end on its radius. Raises BadInput,
    UnknownName or SpaceMismatch.
    """
    directions.check_latent(latent)
    check_shape(latent.flat, (None, len(directions.vectors)), "latent")
    movement = _movement(len(latent), directions, amounts, hold)
    if not movement.any():
        return latent
    bound = _bound(directions, limit)
    flat = latent.flat.astype(np.float64)
    if bound is not None:
        movement *= shrink_movement(flat, movement, bound)[:, None]
    return latent.with_values(flat + movement)


def _movement(
    count: int,
    directions: Directions,
    amounts: Mapping[str, float | np.ndarray],
    hold: Sequence[str],
) -> np.ndarray:
    """float64 [N, D]: the sum over attributes of amount * unit * direction."""
    held = _span(directions.vectors[:, [directions.index(name) for name in hold]])
    total = np.zeros((count, len(directions.vectors)))
    for name, amount in amounts.items():
        column = directions.index(name)
        if name in hold:
            raise BadInput(f"{name} is both edited and held; drop one of the two")
        lengths = _lengths(_per_face(name, amount, count), directions, column)
        if lengths.any():
            total += np.outer(lengths, _conditioned(directions, column, held, hold))
    return total


def _lengths(amounts: np.ndarray, directions: Directions, column: int) -> np.ndarray:
    """float64 [N]: the latent lengths that amounts [N] move, negative ones by `unit_down`."""
    up = float(directions.unit[column])
    down = up if directions.unit_down is None else float(directions.unit_down[column])
    return np.asarray(amounts * np.where(amounts < 0, down, up))


def _conditioned(
    directions: Directions, column: int, held: np.ndarray, hold: Sequence[str]
) -> np.ndarray:
    """float64 [D]: the direction without the span of the held ones, per unit of coordinate.

    g = f - P f has f @ g = |g|^2, so g / |g|^2 moves the coordinate along f by
    exactly 1; its length 1 / |g| is capped at LONGEST.
    """
    direction = directions.vectors[:, column].astype(np.float64)
    if held.shape[1] == 0:
        return direction
    left = direction - held @ (held.T @ direction)
    left -= held @ (held.T @ left)  # once more: the first pass leaves rounding along the span
    length = float(np.linalg.norm(left))
    if length < LEAST:
        raise BadInput(
            f"nothing of {directions.names[column]} is left when holding {', '.join(hold)}; "
            "hold fewer attributes"
        )
    return left / length * min(1 / length, LONGEST)


def _span(vectors: np.ndarray) -> np.ndarray:
    """float64 [D, K]: an orthonormal basis of the columns' span, dependent columns or not."""
    left, spread, _ = np.linalg.svd(vectors.astype(np.float64), full_matrices=False)
    return np.asarray(left[:, spread > LEAST])


def _per_face(name: str, amount: float | np.ndarray, count: int) -> np.ndarray:
    try:
        values = np.asarray(amount, np.float64)
    except (TypeError, ValueError):
        raise BadInput(f"the amount of {name} is {amount!r}, expected a number") from None
    if values.shape not in ((), (count,)):
        raise BadInput(
            f"{name} has amounts of shape {list(values.shape)}, expected one number or {count}"
        )
    if not np.isfinite(values).all():
        raise BadInput(f"the amount of {name} is NaN or infinite; give a finite number")
    return np.broadcast_to(values, (count,))


def _bound(
    directions: Directions, limit: bool | float | Distribution | None
) -> Distribution | None:
    """The distribution that limits, or None; BadInput when one is asked for and none is known."""
    if isinstance(limit, Distribution):
        check_shape(limit.mean, (len(directions.vectors),), "the limiting distribution's mean")
        return limit
    own = directions.distribution if isinstance(directions, BoundedDirections) else None
    if limit is False or (limit is None and own is None):
        return None
    if own is None:
        raise BadInput("these directions carry no distribution to limit by; fit them with one")
    if limit is None or limit is True:
        return own
    if not np.isfinite(limit) or not limit > 0:
        raise BadInput(f"limit is {limit}, expected a Mahalanobis radius above 0")
    return with_radius(own, float(limit))

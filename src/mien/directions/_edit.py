"""Move latents along directions: the one editing step of mien."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mien.checks import check_shape
from mien.directions._condition import Conditioned, layer_mask
from mien.directions._distribution import shrink_movement, with_radius
from mien.directions.contract import BoundedDirections, Distribution
from mien.errors import BadInput
from mien.types import Directions, Latent

Amounts = Mapping[str, float | np.ndarray]  # one number, or float [N] for one a face


def edit(
    latent: Latent,
    directions: Directions,
    amounts: Amounts,
    hold: Sequence[str] = (),
    limit: bool | float | Distribution | None = None,
    layers: str = "all",
) -> Latent:
    """Latents moved by `amounts` (attribute -> units, or float [N] for one amount a face).

    An amount of 1 moves the coordinate w @ f of its attribute by `unit`, -1 by `unit_down`
    back. The directions of the attributes in `hold` are projected out (closed-form least
    squares, any number; Shen et al., "Interpreting the Latent Space of GANs for
    Semantic Face Editing", CVPR 2020, section 3.3), so their coordinates stay; what is left is
    lengthened so that the edited coordinate still moves by its full amount, at
    most to twice the latent length. Movements add up: editing two attributes
    at once equals editing them one after the other. `amounts_to` gives the amounts that
    end at a distance from the hyperplane.

    limit: None keeps the faces within the distribution the directions carry, if
    they carry one; True insists on it; False does not limit; a number is
    another Mahalanobis radius; a Distribution is used as it is. A movement that
    would leave it is shortened to end on its radius. layers: rows of latents
    [N, L, D] that may change, as in "0-3,5"; each moves as it would with all of
    them. Raises BadInput, UnknownName or SpaceMismatch.
    """
    movement = _movement(latent, directions, amounts, hold, layers)
    if not movement.any():
        return latent
    bound = _bound(directions, limit)
    flat = latent.flat.astype(np.float64)
    if bound is not None:
        movement *= shrink_movement(flat, movement, bound)[:, None]
    return latent.with_values(flat + movement)


def amounts_to(
    latent: Latent,
    directions: Directions,
    distances: Amounts,
    hold: Sequence[str] = (),
    layers: str = "all",
) -> dict[str, np.ndarray]:
    """attribute -> amounts [N] after which every face lies at a distance from its hyperplane.

    distances: attribute -> signed latent length (or [N]), w @ f + bias, positive on the side that
    has the attribute; so 0 is the boundary. Unlike a relative amount, which moves
    all faces alike, this ends at the same place whatever the face. Several distances
    are reached together, by one linear system. Errors as in `edit`; BadInput also
    when two of the directions cannot be told apart.
    """
    conditioned = _conditioned(latent, directions, hold, layers)
    names = list(distances)
    columns = [directions.index(name) for name in names]
    wanted = [_per_face(name, distances[name], len(latent)) for name in names]
    if not names:
        return {}
    steps = np.stack([conditioned.movement(name) for name in names], axis=1)
    vectors = directions.vectors[:, columns].astype(np.float64)
    here = latent.flat.astype(np.float64) @ vectors + directions.bias[columns]
    effect = vectors.T @ steps  # [distance, movement]
    if np.linalg.cond(effect) > 1e8:
        raise BadInput(
            f"{', '.join(names)} cannot be moved independently; give distances to fewer of them"
        )
    lengths = np.linalg.solve(effect, (np.stack(wanted, axis=1) - here).T)
    return {
        name: row / _units(row, directions, column)
        for name, row, column in zip(names, lengths, columns, strict=True)
    }


def _movement(
    latent: Latent, directions: Directions, amounts: Amounts, hold: Sequence[str], layers: str
) -> np.ndarray:
    """float64 [N, D]: the sum over attributes of amount * unit * direction."""
    conditioned = _conditioned(latent, directions, hold, layers)
    total = np.zeros((len(latent), len(directions.vectors)))
    for name, amount in amounts.items():
        column = directions.index(name)
        values = _per_face(name, amount, len(latent))
        if values.any():
            lengths = values * _units(values, directions, column)
            total += np.outer(lengths, conditioned.movement(name))
    return total


def _conditioned(
    latent: Latent, directions: Directions, hold: Sequence[str], layers: str
) -> Conditioned:
    directions.check_latent(latent)
    check_shape(latent.flat, (None, len(directions.vectors)), "latent")
    return Conditioned(directions, hold, layer_mask(latent, layers))


def _units(amounts: np.ndarray, directions: Directions, column: int) -> np.ndarray:
    """float64 [N]: the latent length of an amount of 1, for negative amounts `unit_down`."""
    up = float(directions.unit[column])
    down = up if directions.unit_down is None else float(directions.unit_down[column])
    return np.where(amounts < 0, down, up)


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

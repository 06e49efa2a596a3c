"""Conditional manipulation: a direction without what it shares with the directions held fixed.

Shen et al., "Interpreting the Latent Space of GANs for Semantic Face Editing" (CVPR
2020), section 3.3, for any number of conditions: the direction minus its
orthogonal projection on their span.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mien.directions._layers import layer_set
from mien.directions._polar import dependence
from mien.directions._rows import row_mask
from mien.errors import BadInput
from mien.types import Directions, Latent

LEAST = 1e-3  # a projected direction shorter than this is rounding, not direction
DEPENDENT = 1e-5  # a smaller singular value of unit columns, stored in float32, is rounding
LONGEST = 2.0  # units of latent length that an amount of 1 may cost when attributes are held


class Conditioned:
    """The directions as an edit uses them: restricted to some layers, without the held ones.

    Raises BadInput when the held directions depend on one another, UnknownName for
    a name the directions lack.
    """

    def __init__(
        self, directions: Directions, hold: Sequence[str] = (), mask: np.ndarray | None = None
    ) -> None:
        self.directions, self.hold = directions, tuple(hold)
        self.mask = mask  # float64 [D] of 0 and 1, None = all ones
        self.span = self._span([directions.index(name) for name in hold])

    def movement(self, name: str) -> np.ndarray:
        """float64 [D]: what an edit adds to a latent for one unit of latent length.

        With m the direction in the chosen layers and g = m - P m, f @ g = |g|^2: so
        |m|^2 / |g|^2 times g moves the coordinate along f as m would have, and is
        |m| / |g| times as long as m, capped at LONGEST.
        """
        if name in self.hold:
            raise BadInput(f"{name} is both edited and held; drop one of the two")
        direction = self._column(self.directions.index(name))
        length = float(np.linalg.norm(direction))
        if not length > 0:
            raise BadInput(f"{name} moves none of the chosen layers; choose others")
        if self.span.shape[1] == 0:
            return direction
        left, share = self.without(direction / length)
        if share < LEAST:
            raise BadInput(
                f"nothing of {name} is left when holding {', '.join(self.hold)}; "
                "hold fewer attributes"
            )
        return left * length * min(1 / share, LONGEST)

    def without(self, direction: np.ndarray) -> tuple[np.ndarray, float]:
        """(what is left of a unit direction [D], at length 1; the length that was left)."""
        left = direction - self.span @ (self.span.T @ direction)
        left -= self.span @ (self.span.T @ left)  # once more: rounding remains along the span
        length = float(np.linalg.norm(left))
        return left / (length or 1.0), length

    def _column(self, column: int) -> np.ndarray:
        direction = self.directions.vectors[:, column].astype(np.float64)
        return direction if self.mask is None else direction * self.mask

    def _span(self, columns: Sequence[int]) -> np.ndarray:
        """float64 [D, K]: an orthonormal basis of the held directions in the chosen layers."""
        held = [self._column(column) for column in columns]
        lengths = [float(np.linalg.norm(column)) for column in held]
        kept = [place for place, length in enumerate(lengths) if length > 0]  # others: no condition
        if not kept:
            return np.zeros((len(self.directions.vectors), 0))
        unit = np.stack([held[place] / lengths[place] for place in kept], axis=1)
        left, spread, _ = np.linalg.svd(unit, full_matrices=False)
        if spread[-1] < DEPENDENT or unit.shape[1] > unit.shape[0]:
            names = tuple(self.hold[place] for place in kept)
            combination = np.linalg.eigh(unit.T @ unit)[1][:, 0]
            raise BadInput(f"cannot hold {', '.join(names)}: {dependence(combination, names)}")
        return left


def layer_mask(latent: Latent, layers: str) -> np.ndarray | None:
    """float64 [L*D] of 0 and 1 for layers as in "0-3,5", None for all of them."""
    shape = latent.values.shape[1:]
    if layers == "all":
        return None
    if len(shape) == 1:
        raise BadInput(f"latents in {latent.space} have no layers to choose; leave layers out")
    return row_mask(shape, layer_set(layers, shape[0]))


def condition(directions: Directions, name: str, hold: Sequence[str]) -> Directions:
    """The one direction `name` without what it shares with those in `hold`, at length 1.

    Keeps unit, low, high and bias of the direction it came from. Raises BadInput when
    nothing is left or the held ones depend on one another.
    """
    conditioned = Conditioned(directions, hold)
    movement = conditioned.movement(name)
    column = [directions.index(name)]
    one = {key: getattr(directions, key)[column] for key in ("bias", "low", "high", "unit")}
    down = directions.unit_down
    return replace(
        directions,
        names=(name,),
        vectors=(movement / np.linalg.norm(movement)).astype(np.float32)[:, None],
        unit_down=None if down is None else down[column],
        orthonormal=True,
        provenance={**directions.provenance, "held": list(hold)},
        **one,
    )

"""A strip: one face at several amounts of one attribute, or of a whole edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mien.directions import edit
from mien.edit.recipe import Recipe
from mien.errors import BadInput
from mien.types import Directions, Latent

if TYPE_CHECKING:  # a space is opened by the caller; opening one imports torch
    from mien.generators.contract import Space


def strip(
    space: Space,
    latent: Latent,
    directions: Directions,
    attribute: str,
    amounts: Sequence[float],
    hold: Sequence[str] = (),
) -> np.ndarray:
    """Faces float32 [len(amounts), 3, S, S] in [-1, 1]: one latent moved by every amount.

    amounts: calibrated units, any sign; 0 gives the plain reconstruction.
    Arguments and errors otherwise as `mien.directions.edit`; BadInput also
    unless `latent` holds one face and there is an amount.
    """
    if len(latent) != 1:
        raise BadInput(f"a strip shows one face, but {len(latent)} latents were given")
    if not len(amounts):
        raise BadInput("a strip needs one amount or more")
    repeated = latent.with_values(np.repeat(latent.values, len(amounts), axis=0))
    return space.decode(edit(repeated, directions, {attribute: np.asarray(amounts)}, hold))


def strips(
    space: Space,
    latent: Latent,
    directions: Directions,
    how: tuple[Mapping[str, float | np.ndarray], Recipe],
    factors: Sequence[float],
) -> np.ndarray:
    """Faces float32 [N, len(factors), 3, S, S]: each latent, the edit times every factor.

    how: amounts (one number or [N] an attribute) and the recipe that says what is held
    and which layers change. A factor of 0 gives the plain face, -1 the opposite edit.
    """
    amounts, recipe = how
    steps = [
        space.decode(
            edit(
                latent, directions, {name: factor * np.asarray(a) for name, a in amounts.items()},
                recipe.hold, layers=recipe.layers,
            )
        )
        for factor in factors
    ]  # fmt: skip
    return np.stack(steps, axis=1)

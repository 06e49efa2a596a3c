"""A strip: one face at several amounts of one attribute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mien.directions import edit
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

"""From finders and labelled faces to directions that can be compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mien.directions import bounded, fit_distribution
from mien.directions.contract import Labelled
from mien.errors import BadInput
from mien.studies._entanglement import Candidate
from mien.studies._split import Progress
from mien.types import Directions

HELD = 0.2  # share of the faces that no finder sees


def held_out(data: Labelled, seed: int = 0) -> tuple[Labelled, Labelled]:
    """(faces to find directions with, faces to judge them by), drawn with `seed`."""
    order = np.random.default_rng([seed, 3]).permutation(len(data.latent))
    count = round(HELD * len(order))
    if count < 1:
        raise BadInput(f"{len(order)} faces are too few to hold some out; give more")
    return data.rows(np.sort(order[count:])), data.rows(np.sort(order[:count]))


def fitted(
    finders: Sequence[tuple[str, Any, Any]], data: Labelled, reach: float, progress: Progress
) -> list[Candidate]:
    """The directions of each finder (name, module, options), comparable in their units.

    Where a finder leaves the whole range of coordinates as the unit, an amount of 1 becomes
    the same latent length for all finders: `reach` times the distance between the mean
    latents of faces with and without the attribute. Flat latents carry their
    distribution, so that no edit leaves it. Attributes with too few faces are left out.
    """
    comparable = comparing(data, reach)
    candidates = []
    for place, (name, part, options) in enumerate(finders):
        progress(place, len(finders), f"find {name}")
        found = part.find(replace(data, tell=progress), _tolerant(options))
        candidates.append(Candidate(name, comparable(found)))
    return candidates


def comparing(data: Labelled, reach: float) -> Callable[[Directions], Directions]:
    """What gives directions found on `data` units to compare and, if flat, the distribution."""
    flat = data.latent.values.ndim == 2
    known = fit_distribution(data.latent) if flat and len(data.latent) > 1 else None

    def comparable(found: Directions) -> Directions:
        found = with_lengths(found, data, reach)
        return bounded(found, known) if known else found

    return comparable


def _tolerant(options: Any) -> Any:
    """Options that leave rare attributes out instead of refusing, where there is that choice."""
    return replace(options, skip_rare=True) if hasattr(options, "skip_rare") else options


def with_lengths(directions: Directions, data: Labelled, reach: float) -> Directions:
    """Units that are still ranges, replaced by `reach` distances between the sides' means."""
    unit = directions.unit.copy()
    spans = np.isclose(unit, directions.high - directions.low, rtol=1e-4)
    flat = data.latent.flat
    for column, name in enumerate(directions.names):
        if not spans[column] or name not in data.attributes.names:
            continue
        labels = data.attributes.column(name)
        if (labels > 0).any() and (labels < 0).any():
            apart = flat[labels > 0].mean(axis=0) - flat[labels < 0].mean(axis=0)
            unit[column] = max(reach * float(np.linalg.norm(apart)), 1e-6)
    return replace(directions, unit=unit)

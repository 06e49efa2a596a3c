"""Queries of the retrieval study: whose face, and which attributes it should have instead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.studies._split import Split
from mien.types import Directions

PROTOCOLS = {"Smiling": 1, "random": 1, "three": 3}  # attributes that a query adjusts


@dataclass(frozen=True)
class Task:
    """Queries of one protocol: gallery rows [Q], wanted presences [Q, M] (NaN = leave alone)."""

    rows: np.ndarray
    wanted: np.ndarray

    @property
    def adjusted(self) -> np.ndarray:
        """bool [Q, M], which attributes are adjusted."""
        return np.asarray(~np.isnan(self.wanted))


def make_task(split: Split, basis: Directions, protocol: str, count: int, seed: int) -> Task:
    """At most `count` queries of a protocol, drawn with `seed` from the split, each face once.

    "Smiling": presence 1 for photos that do not smile already. "random" and
    "three": that many known attributes of the basis a query, flipped.
    """
    random = np.random.default_rng(seed)
    labels = split.attributes.select(basis.names).table
    rows = random.permutation(len(split))
    if protocol == "Smiling":
        rows = rows[labels[rows, basis.index("Smiling")] < 0]
    rows = rows[:count]
    wanted = np.full((len(rows), len(basis.names)), np.nan)
    for place, row in enumerate(rows):
        if protocol == "Smiling":
            columns = np.array([basis.index("Smiling")])
        else:
            known = np.flatnonzero(labels[row])
            columns = random.choice(known, min(PROTOCOLS[protocol], len(known)), replace=False)
        wanted[place, columns] = labels[row, columns] < 0
    return Task(rows, wanted)

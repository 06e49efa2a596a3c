"""How far a mean over queries may be off: percentile intervals of the bootstrap.

Efron, "Bootstrap methods: another look at the jackknife" (Annals of Statistics
1979): the queries are drawn again with replacement, as many as there are.
"""

from __future__ import annotations

import numpy as np

from mien.errors import BadInput

LEVEL = 0.95
ROUNDS = 2000


def mean_intervals(
    values: np.ndarray, rounds: int = ROUNDS, level: float = LEVEL, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(low, high), float64 [C] each: the interval of the mean of each column of values [Q, C].

    All columns are drawn alike, so that columns of the same queries can be compared.
    Raises BadInput without queries or rounds, or for a level outside (0, 1).
    """
    if not len(values) or rounds < 1 or not 0 < level < 1:
        raise BadInput(
            f"an interval of level {level} from {len(values)} queries and {rounds} rounds cannot "
            "be had; give at least one of both and a level between 0 and 1"
        )
    counts = np.random.default_rng(seed).multinomial(
        len(values), np.full(len(values), 1 / len(values)), size=rounds
    )
    means = counts @ np.asarray(values, np.float64) / len(values)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high

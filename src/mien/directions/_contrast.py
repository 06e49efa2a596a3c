"""Weights on faces whose weighted sum is a difference of class means.

Balanced over strata as Mantel and Haenszel (1959) balance odds: inside a
stratum (say, men) the difference of means has variance proportional to
1/present + 1/absent, so strata are averaged with weights
present * absent / (present + absent). A stratum with faces on one side only
says nothing about the difference and gets weight 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mien.errors import BadInput
from mien.types import Attributes


def contrasts(attributes: Attributes, balance: Sequence[str] = ()) -> np.ndarray:
    """float64 [N, M]: a column holds weights that sum to 1 over present and -1 over absent faces.

    Unknown labels weigh 0, of the attribute or of one to balance over. A column
    is all zero when no stratum has faces on both sides.
    """
    columns = [
        contrast(attributes.column(name), strata(attributes, [b for b in balance if b != name]))
        for name in attributes.names
    ]
    return np.stack(columns, axis=1) if columns else np.zeros(attributes.table.shape)


def contrast(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """float64 [N]: the weights of one attribute; labels int8 [N], groups int [N], -1 = left out."""
    size = int(groups.max(initial=0)) + 1
    present, absent = (labels > 0) & (groups >= 0), (labels < 0) & (groups >= 0)
    have = np.bincount(groups[present], minlength=size).astype(np.float64)
    lack = np.bincount(groups[absent], minlength=size).astype(np.float64)
    share = have * lack / np.maximum(have + lack, 1)
    share /= share.sum() or 1.0
    weights = np.zeros(len(labels))
    weights[present] = (share / np.maximum(have, 1))[groups[present]]
    weights[absent] = -(share / np.maximum(lack, 1))[groups[absent]]
    return weights


def strata(attributes: Attributes, balance: Sequence[str]) -> np.ndarray:
    """int [N]: the stratum of every face, -1 where a label to balance over is unknown."""
    table = attributes.select(balance).table
    _, groups = np.unique(table, axis=0, return_inverse=True)
    return np.where((table == 0).any(axis=1), -1, groups.reshape(-1))


def with_enough(
    attributes: Attributes, weights: np.ndarray, fewest: int, skip_rare: bool
) -> list[str]:
    """Names with at least `fewest` weighted faces on both sides.

    The others are left out when `skip_rare`, else BadInput names the first.
    """
    kept = []
    for name, column in zip(attributes.names, weights.T, strict=True):
        present, absent = int((column > 0).sum()), int((column < 0).sum())
        if min(present, absent) >= max(fewest, 1):
            kept.append(name)
        elif not skip_rare:
            raise BadInput(
                f"{name} is present in {present} and absent in {absent} usable faces, fewer than "
                f"{max(fewest, 1)}; give more faces, leave it out, or skip rare attributes"
            )
    if not kept:
        raise BadInput("no attribute has enough faces with and without it; give more faces")
    return kept

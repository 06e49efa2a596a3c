"""nDCG@k of a ranked gallery, every choice a parameter, and the published reproduction's.

Jarvelin and Kekalainen, "Cumulated gain-based evaluation of IR techniques"
(ACM TOIS 2002); the logarithm of rank + 1 is Burges et al., "Learning to rank
using gradient descent" (ICML 2005). The defaults are the standard form:
relevance to the query's wishes, ideal from the whole gallery.

`legacy_*` are the published reproduction of Zaeemzadeh et al. (ICCV 2021) as it
is coded. Its nDCG compares with the query's labels before the wishes, sorts
only what was retrieved to find the ideal, and keeps the query in its own
gallery: a random order scores about 0.96 on 35 attributes. It is here to
compare with, never to report alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from mien.checks import check_shape
from mien.errors import BadInput, UnknownName
from mien.search.distance import legacy_distances
from mien.types import Attributes

CHOICES = {
    "count": ("all", "adjusted", "preferred"),
    "target": ("adjusted", "original"),
    "gain": ("linear", "exponential"),
    "discount": ("log2", "jarvelin"),
    "ideal": ("gallery", "retrieved"),
    "ties": ("stable", "average"),
}

__all__ = [
    "NdcgOptions",
    "legacy_distances",
    "legacy_ndcg",
    "legacy_queries",
    "ndcg",
    "relevance",
    "target_labels",
]


@dataclass(frozen=True)
class NdcgOptions:
    """The choices between which published numbers differ."""

    count: str = "all"  # attributes whose match counts: "all", "adjusted", "preferred" (weighted)
    target: str = "adjusted"  # compare with the wishes, or with the "original" labels
    gain: str = "linear"  # relevance itself, or "exponential": 2^relevance - 1
    discount: str = "log2"  # log2(rank + 1), or "jarvelin": 1 at rank 1, log2(rank) from 2 on
    ideal: str = "gallery"  # the best k of the whole gallery, or the "retrieved" k sorted
    ties: str = "stable"  # the order given, or "average": equal distances share their gains

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise UnknownName(f"nDCG {name}", getattr(self, name), known)


def target_labels(labels: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """int8 [Q, M]: the queries' labels with the adjusted attributes overwritten.

    labels: [Q, M] of 1, -1, 0 (unknown). wanted: [Q, M], presence in [0, 1], NaN
    = left alone; above 1/2 becomes 1, below -1, exactly 1/2 unknown.
    """
    asked = np.sign(np.nan_to_num(wanted, nan=0.5) - 0.5)
    return np.where(np.isnan(wanted), labels, asked).astype(np.int8)


def relevance(
    gallery: Attributes,
    queries: Attributes,
    wanted: np.ndarray,
    weights: np.ndarray | None = None,
    options: NdcgOptions | None = None,
) -> np.ndarray:
    """float64 [Q, N]: how many wished attributes a face has, each counted by its weight.

    wanted: [Q, M] presences, NaN = left alone. weights: [Q, M], used when
    options.count is "preferred". Unknown labels never match. Raises BadInput
    when the vocabularies differ or "preferred" comes without weights.
    """
    options = options or NdcgOptions()
    if gallery.names != queries.names:
        raise BadInput("gallery and queries have other attributes; select the same names of both")
    check_shape(wanted, queries.table.shape, "wanted presences")
    target = queries.table
    if options.target == "adjusted":
        target = target_labels(queries.table, wanted)
    counted = _counted(wanted, weights, options.count)
    present = (gallery.table == 1).astype(np.float64)
    absent = (gallery.table == -1).astype(np.float64)
    matches: np.ndarray = (counted * (target == 1)) @ present.T
    matches += (counted * (target == -1)) @ absent.T
    return matches


def ndcg(
    order: np.ndarray,
    relevance: np.ndarray,
    k: int,
    options: NdcgOptions | None = None,
    distance: np.ndarray | None = None,
) -> np.ndarray:
    """nDCG@k of each query, float64 [Q] in [0, 1]; 0 where nothing in the gallery is relevant.

    order: int64 [Q, K], K >= k, gallery rows by rank; a row that is left out
    (the query itself) does not occur. relevance: [Q, N] >= 0. The ideal of
    "gallery" is taken over the rows in `order`, so give whole rankings.
    distance: [Q, K] in ranking order, for "average" ties (McSherry and Najork,
    "Computing information retrieval performance measures efficiently in the
    presence of tied scores", ECIR 2008). Raises BadInput for k outside 1..K.
    """
    options = options or NdcgOptions()
    if not 1 <= k <= order.shape[1]:
        raise BadInput(f"nDCG@{k} needs {k} ranked faces, there are {order.shape[1]}")
    gains = np.take_along_axis(np.asarray(relevance, np.float64), order, axis=1)
    if options.gain == "exponential":
        gains = np.exp2(gains) - 1
    ranked = gains[:, :k] if options.ideal == "retrieved" else gains
    best = -np.sort(-ranked, axis=1)[:, :k]
    if options.ties == "average":
        gains = _average_ties(gains, distance)
    discount = _discount(k, options.discount)
    got, ideal = gains[:, :k] @ discount, best @ discount
    score: np.ndarray = np.divide(got, ideal, out=np.zeros(len(got)), where=ideal > 0)
    return score


def legacy_queries(labels: np.ndarray, index: int, value: int, count: int) -> np.ndarray:
    """int64 [<= count]: the reproduction's queries among gallery rows, in order.

    labels: [N, M] of 0 and 1. A row is a query when its labels with attribute
    `index` set to `value` are exactly those of more than one row.
    """
    changed = labels.copy()
    changed[:, index] = value
    copies = Counter(row.tobytes() for row in labels)
    found = [row for row, want in enumerate(changed) if copies[want.tobytes()] > 1]
    return np.array(found[:count], np.int64)


def legacy_ndcg(labels: np.ndarray, queries: np.ndarray, rankings: np.ndarray, k: int) -> float:
    """The reproduction's mean nDCG@k, from labels 0 or 1 [N, M] and rankings [Q, >= k].

    Relevance counts the labels equal to the query's own, unadjusted ones; rows
    of `rankings` may hold the query itself; queries: gallery rows [Q].
    """
    own = labels[queries]
    equal = own.astype(np.float64) @ labels.T + (1.0 - own) @ (1.0 - labels.T)
    options = NdcgOptions(discount="jarvelin", ideal="retrieved", target="original")
    return float(ndcg(rankings[:, :k], equal, k, options).mean())


def _counted(wanted: np.ndarray, weights: np.ndarray | None, count: str) -> np.ndarray:
    if count == "adjusted":
        return np.where(np.isnan(wanted), 0.0, 1.0)
    if count == "all":
        return np.ones(wanted.shape)
    if weights is None:
        raise BadInput('relevance counted by "preferred" needs the preference weights')
    check_shape(weights, wanted.shape, "preference weights")
    return np.asarray(weights, np.float64)


def _discount(k: int, kind: str) -> np.ndarray:
    rank = np.arange(1, k + 1)
    discount: np.ndarray = 1 / np.log2(rank + 1 if kind == "log2" else np.maximum(rank, 2))
    return discount


def _average_ties(gains: np.ndarray, distance: np.ndarray | None) -> np.ndarray:
    if distance is None or distance.shape != gains.shape:
        raise BadInput('"average" ties need the distances, in the order and shape of the ranking')
    averaged = np.empty_like(gains)
    for row, steps in enumerate(np.diff(distance, axis=1) != 0):
        group = np.concatenate([[0], np.cumsum(steps)])
        averaged[row] = (np.bincount(group, gains[row]) / np.bincount(group))[group]
    return averaged

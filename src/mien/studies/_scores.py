"""What the retrieval study measures of a ranking: one number a query, then means with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mien.measure.bootstrap import mean_intervals
from mien.measure.ndcg import NdcgOptions, ndcg, relevance, target_labels
from mien.studies._queries import Task
from mien.studies._split import Split
from mien.types import Directions

DEPTHS = (5, 10, 20)
CERTAIN = ("ndcg", "identity")  # measures that get an interval
LEGACY = NdcgOptions(discount="jarvelin", ideal="retrieved", target="original")


class Scorer:
    """Scores rankings of a split's photos for the queries of one task.

    people: unit embeddings [N, E] of the split's photos. relevance: float64 [Q, N],
    the labels of a photo that agree with a query's after the adjustment.
    """

    def __init__(self, split: Split, basis: Directions, task: Task, people: np.ndarray) -> None:
        self.task, self.people = task, people
        gallery = split.attributes.select(basis.names)
        asked = gallery.rows(task.rows)
        self.labels = gallery.table
        self.target = target_labels(asked.table, task.wanted)
        self.relevance = relevance(gallery, asked, task.wanted)
        self.original = relevance(gallery, asked, task.wanted, options=LEGACY)

    def measures(self, order: np.ndarray, k: int) -> dict[str, np.ndarray]:
        """float64 [Q] each: nDCG, shares of adjusted and other labels as wished, identity, legacy.

        order: int [Q, N], gallery rows by rank. The query itself is left out, but for
        "legacy", the published reproduction's nDCG, which keeps it.
        """
        others = order[order != self.task.rows[:, None]].reshape(len(order), -1)
        top = others[:, :k]
        agrees = self.labels[top] == self.target[:, None, :]
        adjusted = self.task.adjusted[:, None, :]
        cosine = np.einsum("qkd,qd->qk", self.people[top], self.people[self.task.rows])
        return {
            "ndcg": ndcg(others, self.relevance, k),
            "adjusted": _share(agrees, adjusted),
            "others": _share(agrees, ~adjusted),
            "identity": cosine.mean(axis=1).astype(np.float64),
            "legacy": ndcg(order[:, :k], self.original, k, LEGACY),
        }

    def rows(self, orders: Sequence[np.ndarray], rounds: int, seed: int) -> list[dict[str, Any]]:
        """One row a depth: means over queries, 95 % intervals, and the spread over `orders`.

        orders: rankings by the same method, which are averaged query by query; "spread" is
        the mean over queries of the standard deviation of their nDCG.
        """
        rows = []
        for k in DEPTHS:
            every = [self.measures(order, k) for order in orders]
            row: dict[str, Any] = {"k": k}
            for name in every[0]:
                values = np.mean([one[name] for one in every], axis=0)
                row[name] = float(values.mean())
                if name in CERTAIN:
                    low, high = mean_intervals(values[:, None], rounds, seed=seed)
                    row |= {f"{name} low": float(low[0]), f"{name} high": float(high[0])}
            row["spread"] = float(np.std([one["ndcg"] for one in every], axis=0).mean())
            rows.append(row)
        return rows


def _share(agrees: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """float64 [Q]: the share of `counted` entries [Q, 1, M] that agree [Q, k, M]."""
    count = np.maximum(counted.sum(axis=(1, 2)), 1) * agrees.shape[1]
    share: np.ndarray = (agrees & counted).sum(axis=(1, 2)) / count
    return share

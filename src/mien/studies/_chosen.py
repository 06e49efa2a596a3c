"""Preferences of the retrieval study, chosen on one split for another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mien.search import preference
from mien.search.distance import decompose, rank
from mien.search.find import STRESS
from mien.search.preference import Examples, Preference
from mien.search.query import moves
from mien.studies._queries import Task, make_task
from mien.studies._scores import DEPTHS, Scorer
from mien.studies._split import Progress, Split
from mien.types import Directions

QUALITY = 10  # the k of the nDCG that chooses
GRID = {"attributes": (1.0, 10.0, 100.0, 1000.0), "adjusted": (1.0, 3.0, 10.0)}
SHARPNESS = (0.5, 1.0, 2.0)
LIKENESS = (0.0, 10.0)
STRESSED = (1.0, 3.0, 10.0, 30.0, 100.0)  # times what a fitted preference weighs


def uniform(basis: Directions, attributes: float = 1.0, adjusted: float = 1.0) -> Preference:
    """Every attribute weighs the same, and `adjusted` times as much where it is adjusted."""
    alone = np.full(len(basis.names), float(attributes))
    return Preference(alone, alone * adjusted)


def ranked(split: Split, basis: Directions, task: Task, wishes: Preference) -> np.ndarray:
    """int64 [Q, N]: gallery rows by the distance of `mien find`, the query itself included."""
    values = split.latent.flat
    queries = values[task.rows]
    move = moves(queries @ basis.vectors, task.wanted, basis)
    return rank(values, queries, basis.vectors, move, wishes.weights(task.wanted)).order


class Chosen(NamedTuple):
    """The preferences that rank best on a split: of all, and of those that keep something."""

    best: Preference
    keeping: Preference  # mean identity at every depth no lower than without preference
    granting: Preference  # adjusted labels as wished, at `QUALITY`, as often as by find's default


def choose(
    split: Split, people: np.ndarray, basis: Directions, tasks: tuple[Task, Task],
    progress: Progress,
) -> Chosen:  # fmt: skip
    """What ranks best on `split` by nDCG@10, among no preference, a grid and fitted weights.

    tasks: queries to fit weights to, and other queries of the same split to choose by.
    """
    scorer = Scorer(split, basis, tasks[1], people)
    plain, default = uniform(basis), uniform(basis, adjusted=STRESS)

    def judge(wishes: Preference) -> _Judged:
        order = ranked(split, basis, tasks[1], wishes)
        found = scorer.measures(order, QUALITY)
        kept = _identities(scorer, order)
        return _Judged(wishes, float(found["ndcg"].mean()), kept, float(found["adjusted"].mean()))

    floor, wish = judge(plain), judge(default)
    grid = [judge(uniform(basis, a, b)) for a in GRID["attributes"] for b in GRID["adjusted"]]
    start = max([floor, *grid], key=_quality).preference
    fitted = _fitted(examples(split, people, basis, tasks[0]), start, progress)
    bent = [one for each in fitted for one in _stressed(each)]
    every = [floor, wish, *grid, *map(judge, bent)]
    keeping = [one for one in every if (one.identity >= floor.identity).all()]
    granting = [one for one in every if one.granted >= wish.granted]
    return Chosen(*(max(some, key=_quality).preference for some in (every, keeping, granting)))


def examples(split: Split, people: np.ndarray, basis: Directions, task: Task) -> Examples:
    """What the search of weights sees of a task's queries."""
    values = split.latent.flat.astype(np.float64)
    scores, squares = decompose(values, basis.vectors)
    residual = values - scores @ basis.vectors.T
    rest = squares[task.rows][:, None] + squares - 2 * residual[task.rows] @ residual.T
    return Examples(
        coordinates=scores,
        targets=scores[task.rows] + moves(scores[task.rows], task.wanted, basis),
        rest=np.maximum(rest, 0),
        wanted=task.wanted,
        relevance=Scorer(split, basis, task, people).relevance,
        own=task.rows,
        likeness=people[task.rows] @ people.T,
    )


def tasks(
    split: Split, basis: Directions, protocol: str, count: int, seed: int
) -> tuple[Task, Task]:
    """Two draws of a protocol's queries: for fitting, and for choosing."""
    fitting, choosing = (make_task(split, basis, protocol, count, s) for s in (seed + 1, seed))
    return fitting, choosing


def _fitted(known: Examples, start: Preference, progress: Progress) -> Iterator[Preference]:
    settings = [(a, b) for a in SHARPNESS for b in LIKENESS]
    for place, (sharpness, likeness) in enumerate(settings):
        options = preference.Options(sharpness=sharpness, likeness=likeness)
        yield preference.fit(known, options, start)
        progress(place + 1, len(settings), "fit preferences")


def _stressed(fitted: Preference) -> Iterator[Preference]:
    """A preference as it is, and with heavier adjusted attributes."""
    yield fitted
    for factor in STRESSED:
        yield Preference(fitted.alone, np.maximum(fitted.adjusted, fitted.alone) * factor)


@dataclass(frozen=True)
class _Judged:
    preference: Preference
    quality: float
    identity: np.ndarray
    granted: float


def _quality(judged: _Judged) -> float:
    return judged.quality


def _identities(scorer: Scorer, order: np.ndarray) -> np.ndarray:
    return np.array([scorer.measures(order, k)["identity"].mean() for k in DEPTHS])

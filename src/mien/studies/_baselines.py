"""What the retrieval study compares with, on the same latents.

Euclidean distance; the published reproduction as coded; InterFaceGAN's boundaries
one after another; TIRG. Each is learned from the train split.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from mien.directions.contract import Labelled
from mien.directions.hyperplane import Options as HyperplaneOptions
from mien.directions.hyperplane import find
from mien.search.distance import rank
from mien.search.query import legacy_moves
from mien.studies._queries import Task
from mien.studies._scores import Scorer
from mien.studies._split import Progress, Split
from mien.train import tirg
from mien.types import Directions

QUALITY = 10  # the k of the nDCG that chooses
RARE = HyperplaneOptions(skip_rare=True)
STRETCHES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


@dataclass(frozen=True)
class Learned:
    """What the baselines take from the train split.

    extremes: (largest, smallest) coordinate of each attribute, float [M] each.
    boundaries: InterFaceGAN's, unit normals that are not orthogonal to one another, one for
    each attribute of the basis.
    """

    extremes: tuple[np.ndarray, np.ndarray]
    boundaries: Directions
    composer: tirg.Composer


def learn(train: Split, basis: Directions, options: tirg.Options, progress: Progress) -> Learned:
    """Everything the baselines learn, from the train split."""
    flat, attributes = train.latent.flat, train.attributes.select(basis.names)
    scores = flat @ basis.vectors
    progress(0, 1, "fit boundaries")
    boundaries = _boundaries(Labelled(train.latent, attributes), basis)
    composer = tirg.fit(flat, attributes.table, options, progress)
    return Learned((scores.max(axis=0), scores.min(axis=0)), boundaries, composer)


def _boundaries(data: Labelled, basis: Directions) -> Directions:
    """A hyperplane for each attribute; one too rare to fit keeps the basis' direction."""
    found = find(data, RARE)
    places = [(basis.index(name), found.index(name)) for name in found.names]
    own, other = (list(column) for column in zip(*places, strict=True))
    fields = {}
    for name in ("vectors", "low", "high", "bias"):
        fields[name] = getattr(basis, name).copy()
        fields[name][..., own] = getattr(found, name)[..., other]
    return replace(basis, **fields, orthonormal=False)


def euclidean(values: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """int64 [Q, N]: rows of latents [N, D] by distance to each query [Q, D]."""
    nothing = np.zeros((values.shape[1], 0), np.float32)
    none = np.zeros((len(queries), 0))
    return rank(values, queries, nothing, none, none).order


def legacy(
    values: np.ndarray, task: Task, vectors: np.ndarray, extremes: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """int64 [Q, N]: the reproduction's ranking (`legacy_distances`), all preferences 1."""
    move = legacy_moves(task.wanted, *extremes)
    return rank(values, values[task.rows], vectors, move, np.ones(move.shape)).order


def compose(values: np.ndarray, task: Task, composer: tirg.Composer) -> np.ndarray:
    """int64 [Q, N]: TIRG's ranking."""
    adjustments = np.nan_to_num(2 * task.wanted - 1)
    return tirg.order(composer, values, values[task.rows], adjustments)


def interfacegan(
    values: np.ndarray, task: Task, boundaries: Directions, stretch: float = 1.0
) -> list[np.ndarray]:
    """int64 [Q, N] each: rankings from the moved queries, one for every order of the moves."""
    queries = values[task.rows]
    return [
        euclidean(values, sequential(queries, task.wanted, boundaries, turn, stretch))
        for turn in range(turns(task))
    ]


def choose_stretch(
    split: Split, people: np.ndarray, learned: Learned, basis: Directions, task: Task
) -> float:
    """The length of InterFaceGAN's steps with the best nDCG@10 on `split`, which is not tested."""
    scorer = Scorer(split, basis, task, people)

    def quality(stretch: float) -> float:
        moved = sequential(
            split.latent.flat[task.rows], task.wanted, learned.boundaries, stretch=stretch
        )
        order = euclidean(split.latent.flat, moved)
        return float(scorer.measures(order, QUALITY)["ndcg"].mean())

    return max(STRETCHES, key=quality)


def sequential(
    queries: np.ndarray, wanted: np.ndarray, boundaries: Directions, turn: int = 0,
    stretch: float = 1.0,
) -> np.ndarray:  # fmt: skip
    """float64 [Q, D]: latents [Q, D] moved along the boundaries of their adjusted attributes.

    Shen et al. (CVPR 2020), section 3.3: of each boundary's normal n the part along those
    moved before is taken away, n' = n - sum (n u) u brought to unit length, so that
    what was reached stays. A step is `stretch` times as long as n would need to reach the
    wanted presence; n' gets there only where the normals are orthogonal, so the order
    matters. wanted: [Q, M], NaN = left alone. turn: which permutation of a query's
    attributes (modulo their number).
    """
    moved = queries.astype(np.float64)
    normals = boundaries.vectors.astype(np.float64)
    low = boundaries.low.astype(np.float64)
    span = boundaries.high - low
    for place, row in enumerate(wanted):
        used: list[np.ndarray] = []
        for column in _turned(np.flatnonzero(~np.isnan(row)), turn):
            normal = normals[:, column]
            step = low[column] + row[column] * span[column] - moved[place] @ normal
            for unit in used:
                normal = normal - (normal @ unit) * unit
            used.append(normal / np.linalg.norm(normal))
            moved[place] += stretch * step * used[-1]
    return moved


def turns(task: Task) -> int:
    """Orders in which the attributes of a query can be moved, at most."""
    return math.factorial(int(task.adjusted.sum(axis=1).max(initial=0)))


def _turned(columns: np.ndarray, turn: int) -> tuple[int, ...]:
    every = list(permutations(columns.tolist()))
    return every[turn % len(every)]

"""Retrieval with attribute manipulation on the CelebA test split: the paper's three tables.

Zaeemzadeh et al. (ICCV 2021), with the standard nDCG (relevance: labels agreeing
with the query's after the adjustment; discount log2(i + 1); ideal: the whole
gallery without the query). Three protocols: Smiling adjusted for every query, one
random attribute flipped a query, and three. The paper's rows are the basis with no
preference, with the preferences that rank best, and with the best that keep identity,
both chosen on the valid split; beside them what `mien find` does by default, the best that
grant the wish as often, adjustments and preferences learned as functions of the query, and
baselines. What is learned is learned from the train split.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.checks import check_numbers
from mien.generators.contract import Space
from mien.search.distance import rank
from mien.search.find import STRESS
from mien.search.preference import Preference
from mien.studies import _baselines as baselines
from mien.studies import _chosen as chosen
from mien.studies._queries import PROTOCOLS, Task, make_task
from mien.studies._retrieval_report import write
from mien.studies._scores import Scorer
from mien.studies._split import Progress, Split, embeddings, encode_split
from mien.studies._table import output_folder
from mien.train import policy, tirg
from mien.types import Directions, check_same_space

BASELINES = ("euclidean", "legacy", "interfacegan", "tirg")
OURS = ("no preference", "adjusted preferred", "identity constrained", "wish kept", "best nDCG")
LEARNED = "learned wish"  # moves and weights of each query by a policy
METHODS = (*BASELINES, *OURS, LEARNED)


@dataclass(frozen=True)
class Options:
    """What to measure."""

    queries: int = 1000  # drawn from the gallery; a query never finds itself
    seed: int = 0  # of queries, random attributes and intervals
    limit: int | None = None  # photos of valid and test split; None = whole splits
    train: int | None = None  # photos that are learned from; None = the whole train split
    steps: int = 3000  # of TIRG's training, and two thirds of them of the policy's
    rounds: int = 2000  # of the bootstrap behind the intervals

    def __post_init__(self) -> None:
        check_numbers(self, {"limit": 2, "train": 2})  # a face never finds itself


@dataclass(frozen=True)
class Bench:
    """What every ranking is made of: the gallery, the basis, and what was learned before."""

    test: Split
    basis: Directions
    learned: baselines.Learned
    policy: policy.Policy


def run(
    root: Path, space: Space, basis: Directions, options: Options, folder: Path,
    progress: Progress,
) -> list[dict[str, Any]]:  # fmt: skip
    """Measure every protocol and method; write tables, CSV and a figure into `folder`.

    root: a CelebA folder; basis: orthonormal, in `space`. Returns the table's rows. Raises
    SpaceMismatch for a basis of another space.
    """
    check_same_space(
        "the basis", (basis.space, basis.model), "the space", (space.space, space.mark)
    )
    output_folder(folder)
    valid = encode_split(root, "valid", space, progress, options.limit)
    test = encode_split(root, "test", space, progress, options.limit)
    train = encode_split(root, "train", space, progress, options.train)
    known, people = embeddings(valid, progress), embeddings(test, progress)
    bench = _learn(train, test, basis, options, progress)
    rows: list[dict[str, Any]] = []
    wishes: dict[str, dict[str, Preference]] = {}
    for protocol in PROTOCOLS:
        tasks = chosen.tasks(valid, basis, protocol, options.queries, options.seed)
        stretch = baselines.choose_stretch(valid, known, bench.learned, basis, tasks[1])
        found = chosen.choose(valid, known, basis, tasks, progress)
        plain, stressed = chosen.uniform(basis), chosen.uniform(basis, adjusted=STRESS)
        wishes[protocol] = dict(
            zip(OURS, (plain, stressed, found.keeping, found.granting, found.best), strict=True)
        )
        task = make_task(test, basis, protocol, options.queries, options.seed)
        scorer = Scorer(test, basis, task, people)
        for method, orders in rankings(bench, task, wishes[protocol], stretch):
            scores = scorer.rows(orders, options.rounds, options.seed)
            rows += [{"protocol": protocol, "method": method} | row for row in scores]
            progress(METHODS.index(method) + 1, len(METHODS), f"rank {protocol}")
    write(folder, rows, wishes, basis.names)
    return rows


def _learn(
    train: Split, test: Split, basis: Directions, options: Options, progress: Progress
) -> Bench:
    composing = tirg.Options(steps=options.steps, seed=options.seed)
    learned = baselines.learn(train, basis, composing, progress)
    asking = policy.Options(steps=max(1, 2 * options.steps // 3), seed=options.seed)
    labels = train.attributes.select(basis.names).table
    asks = policy.fit(train.latent.flat, labels, basis.vectors, asking, progress)
    return Bench(test, basis, learned, asks)


def rankings(
    bench: Bench, task: Task, wishes: Mapping[str, Preference], stretch: float
) -> Iterator[tuple[str, Sequence[np.ndarray]]]:
    """(method, its rankings, int64 [Q, N] each): more than one where the order of moves matters."""
    values, learned = bench.test.latent.flat, bench.learned
    yield "euclidean", [baselines.euclidean(values, values[task.rows])]
    yield "legacy", [baselines.legacy(values, task, bench.basis.vectors, learned.extremes)]
    yield "interfacegan", baselines.interfacegan(values, task, learned.boundaries, stretch)
    yield "tirg", [baselines.compose(values, task, learned.composer)]
    for method in OURS:
        yield method, [chosen.ranked(bench.test, bench.basis, task, wishes[method])]
    queries, vectors = values[task.rows], bench.basis.vectors
    asked = bench.policy.ask(queries @ vectors, task.wanted)
    yield LEARNED, [rank(values, queries, vectors, *asked).order]

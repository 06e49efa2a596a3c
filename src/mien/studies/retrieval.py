"""Retrieval with attribute manipulation on the CelebA test split.

Zaeemzadeh et al. (ICCV 2021), with the standard nDCG (relevance: labels agreeing
with the query's after the adjustment; discount log2(i + 1); ideal: the whole
gallery without the query). Two protocols: Smiling adjusted for every query, and
one random attribute flipped a query. Four methods: Euclidean distance of the
latents; the basis with no preference; the adjusted attribute preferred, as
`mien find` does by default; and preferences chosen on the valid split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.generators.contract import Space
from mien.measure.ndcg import ndcg, relevance, target_labels
from mien.search.distance import rank
from mien.search.find import STRESS
from mien.search.query import moves
from mien.studies._split import Progress, Split, embeddings, encode_split
from mien.studies._table import markdown, output_folder, write_csv
from mien.types import Directions

DEPTHS = (5, 10, 20)
METHODS = ("euclidean", "basis", "adjusted preferred", "preferences chosen")
PROTOCOLS = ("Smiling", "random")
GRID = {"attributes": (1.0, 3.0, 10.0, 30.0, 100.0, 300.0), "adjusted": (1.0, 3.0, 10.0)}


@dataclass(frozen=True)
class Options:
    """What to measure."""

    queries: int = 1000  # drawn from the gallery; a query never finds itself
    seed: int = 0  # of queries and random attributes
    limit: int | None = None  # photos of the gallery; None = the whole split


@dataclass(frozen=True)
class Preference:
    """Weights of a query: every attribute, times another factor for the adjusted one."""

    attributes: float = 1.0
    adjusted: float = 1.0

    def columns(self) -> dict[str, float]:
        """The weights of an attribute and of the adjusted one, as columns of the table."""
        return {"p": self.attributes, "p adjusted": self.attributes * self.adjusted}

    def weights(self, wanted: np.ndarray) -> np.ndarray:
        """float64 [Q, M] for wanted presences [Q, M] (NaN = not adjusted)."""
        return np.where(np.isnan(wanted), 1.0, self.adjusted) * self.attributes


PLAIN = Preference()


@dataclass(frozen=True)
class Task:
    """Queries of one protocol: gallery rows [Q], wanted presences [Q, M] (NaN = leave alone)."""

    rows: np.ndarray
    wanted: np.ndarray

    @property
    def columns(self) -> np.ndarray:
        """int [Q], the adjusted attribute of each query."""
        return np.asarray(np.argmax(~np.isnan(self.wanted), axis=1))


def run(
    root: Path, space: Space, basis: Directions, options: Options, folder: Path,
    progress: Progress,
) -> list[dict[str, Any]]:  # fmt: skip
    """Measure every protocol and method; write retrieval.md, retrieval.csv and a figure.

    root: a CelebA folder; basis: orthonormal, in `space`. Returns the table's rows.
    """
    output_folder(folder)
    valid = encode_split(root, "valid", space, progress, options.limit)
    test = encode_split(root, "test", space, progress, options.limit)
    people = embeddings(test, progress)
    rows = []
    for protocol in PROTOCOLS:
        chosen = choose_preference(valid, basis, protocol, options)
        preferences = dict(
            zip(METHODS, (PLAIN, PLAIN, Preference(adjusted=STRESS), chosen), strict=True)
        )
        task = make_task(test, basis, protocol, options)
        for method in METHODS:
            order = rank_queries(test, basis, task, method, preferences[method])
            scores = score(order, test, basis, task, people)
            weights = preferences[method].columns()
            rows += [{"protocol": protocol, "method": method} | row | weights for row in scores]
            progress(len(rows), len(PROTOCOLS) * len(METHODS) * len(DEPTHS), protocol)
    write_csv(folder / "retrieval.csv", rows)
    (folder / "retrieval.md").write_text(markdown(rows) + "\n", encoding="utf-8")
    _figure(rows, folder / "retrieval.png")
    return rows


def make_task(split: Split, basis: Directions, protocol: str, options: Options) -> Task:
    """Queries of a protocol, drawn with the options' seed.

    "Smiling": presence 1 for photos that do not smile already. "random": one
    known attribute of the basis a query, flipped.
    """
    random = np.random.default_rng(options.seed)
    labels = split.attributes.select(basis.names).table
    rows = random.permutation(len(split))
    if protocol == "Smiling":
        rows = rows[labels[rows, basis.index("Smiling")] < 0]
    rows = rows[: options.queries]
    wanted = np.full((len(rows), len(basis.names)), np.nan)
    for place, row in enumerate(rows):
        column = basis.index("Smiling") if protocol == "Smiling" else _known(labels[row], random)
        wanted[place, column] = float(labels[row, column] < 0)
    return Task(rows, wanted)


def rank_queries(
    split: Split, basis: Directions, task: Task, method: str, preference: Preference
) -> np.ndarray:
    """int64 [Q, N - 1]: gallery rows by rank, the query itself left out."""
    values, queries = split.latent.flat, split.latent.flat[task.rows]
    move = np.zeros_like(task.wanted)
    if method != METHODS[0]:
        move = moves(queries @ basis.vectors, task.wanted, basis)
    weights = preference.weights(task.wanted)
    order = rank(values, queries, basis.vectors, move, weights).order
    others: np.ndarray = order[order != task.rows[:, None]]
    return others.reshape(len(order), -1)


def score(
    order: np.ndarray, split: Split, basis: Directions, task: Task, people: np.ndarray | None
) -> list[dict[str, Any]]:
    """One row a depth: nDCG, share with the adjusted attribute, agreement, identity.

    people: unit embeddings [N, E] of the gallery's photos; None leaves identity out.
    """
    gallery = split.attributes.select(basis.names)
    labels, asked = gallery.table, gallery.rows(task.rows)
    relevant = relevance(gallery, asked, task.wanted)
    target = target_labels(asked.table, task.wanted)
    places = np.arange(len(order))[:, None]
    columns = task.columns[:, None]
    rows = []
    for k in DEPTHS:
        top = order[:, :k]
        agrees = labels[top] == target[:, None, :]
        adjusted = agrees[places, np.arange(k), columns]
        others = (agrees.sum(2) - adjusted) / (labels.shape[1] - 1)
        row = {
            "k": k,
            "ndcg": float(ndcg(order, relevant, k).mean()),
            "adjusted": float(adjusted.mean()),
            "others": float(others.mean()),
        }
        if people is not None:
            cosine = np.einsum("qkd,qd->qk", people[top], people[task.rows])
            row["identity"] = float(cosine.mean())
        rows.append(row)
    return rows


def choose_preference(
    split: Split, basis: Directions, protocol: str, options: Options
) -> Preference:
    """The weights of GRID with the best nDCG@10 on `split`, which is never the test split."""
    task = make_task(split, basis, protocol, options)
    candidates = [Preference(a, b) for a in GRID["attributes"] for b in GRID["adjusted"]]

    def quality(candidate: Preference) -> float:
        order = rank_queries(split, basis, task, METHODS[3], candidate)
        rows = score(order, split, basis, task, people=None)
        return float(next(row["ndcg"] for row in rows if row["k"] == 10))

    return max(candidates, key=quality)


def _known(labels: np.ndarray, random: np.random.Generator) -> int:
    return int(random.choice(np.flatnonzero(labels)))


def _figure(rows: Sequence[dict[str, Any]], path: Path) -> None:
    import matplotlib.figure

    figure = matplotlib.figure.Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots(len(PROTOCOLS), 3, squeeze=False)
    for line, protocol in zip(axes, PROTOCOLS, strict=True):
        for axis, measure in zip(line, ("ndcg", "adjusted", "identity"), strict=True):
            for method in METHODS:
                chosen = [r for r in rows if (r["protocol"], r["method"]) == (protocol, method)]
                values = [r[measure] for r in chosen]
                axis.plot([r["k"] for r in chosen], values, "o-", label=method)
            axis.set(title=f"{protocol}: {measure}", xlabel="k", xticks=DEPTHS)
    axes[0][0].legend(fontsize="small")
    figure.savefig(path, dpi=120)

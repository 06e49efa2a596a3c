"""InterFaceGAN: the normal of the hyperplane between faces that clearly have and lack an attribute.

Shen et al., "Interpreting the Latent Space of GANs for Semantic Face Editing" (CVPR
2020), sections 3.1 and 3.2: the faces with the highest and with the lowest scores
are chosen, 70 % of them train a linear support vector machine with C = 1, the
rest and all faces that were not chosen test it. Differences from the published code:
liblinear solves what libsvm solved there (the same objective, but a scaled intercept; time
grows linearly with the faces, cosines of the normals are above 0.9999), and the intercept is
kept as the bias, because in W the origin is not the mean and the hyperplane does not
pass through it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mien.checks import check_numbers
from mien.directions._assemble import assemble, plain_options
from mien.directions._rows import one_row
from mien.directions.contract import Labelled
from mien.errors import BadInput, MissingExtra, UnknownName
from mien.types import Directions

LOSSES = ("hinge", "squared_hinge")
INTERCEPT = 10.0  # liblinear shrinks the intercept; scaled by this, hardly


@dataclass(frozen=True)
class Options:
    """Options of selection and support vector machine."""

    ratio: float = 0.1  # share of the faces on either side if at most 1, else a count; published:
    # 0.02 of 500,000 samples, which few thousand faces cannot afford
    train: float = 0.7  # share of the chosen faces that train; the others test
    C: float = 1.0  # weight of the loss
    loss: str = "hinge"  # published; "squared_hinge" converges faster
    invalid: float | None = None  # a score that marks faces without one
    iterations: int = 2000  # passes over the data at most
    tolerance: float = 1e-4  # of the solver's stopping rule
    fewest: int = 10  # training faces needed on either side
    skip_rare: bool = False  # leave attributes with fewer out instead of refusing
    seed: int = 0  # of the shuffle before the split, drawn as the published code draws it

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise UnknownName("choice of loss", self.loss, LOSSES)
        positive = ("ratio", "train", "C", "tolerance")
        check_numbers(self, {"invalid": -math.inf}, shares=("train",), positive=positive)


DEFAULTS = Options()


@dataclass(frozen=True)
class Selection:
    """Row numbers of (faces with, faces without): for training, held out, and never chosen."""

    train: tuple[np.ndarray, np.ndarray]
    held: tuple[np.ndarray, np.ndarray]
    remaining: tuple[np.ndarray, np.ndarray]


def find(data: Labelled, options: Options = DEFAULTS) -> Directions:
    """Unit normals of the hyperplanes and their biases; sign(w @ f + bias) classifies.

    Faces are chosen by data.scores. With labels alone every known label counts as a
    sure score, and the chosen faces are drawn at random. No more are chosen on either
    side than the rarer label has. A direction points to the faces with high scores.
    Accuracies are in provenance["accuracy"]. Raises BadInput naming an attribute
    with too few faces.
    """
    single, rows = one_row(data)
    flat = single.latent.flat
    kept, normals, biases, notes = [], [], [], {}
    for name, selection in _selections(single, options):
        normal, bias, converged = fit(flat, selection, options)
        kept.append(name)
        normals.append(normal)
        biases.append(bias)
        notes[name] = _accuracy(flat @ normal + bias, selection) | {"converged": converged}
    provenance = {"method": "hyperplane", "options": plain_options(options), "accuracy": notes}
    vectors = np.stack(normals, axis=1)
    found = assemble(single.select(kept), vectors, np.array(biases), provenance)
    return rows.spread(found)


def select(scores: np.ndarray, options: Options = DEFAULTS) -> Selection:
    """The faces of one attribute by score [N]; NaN and options.invalid take no part.

    Highest scores stand for the attribute, lowest for its absence, at most half the
    faces each. Faces never chosen are told apart at the middle between the highest
    and the lowest score.
    """
    valid = np.flatnonzero(~np.isnan(scores) & (scores != options.invalid))
    order = valid[np.argsort(scores[valid])[::-1]]
    wanted = options.ratio * len(order) if options.ratio <= 1 else options.ratio
    count = min(int(wanted), len(order) // 2)
    shuffle = np.random.RandomState(options.seed).shuffle  # the published code's generator
    chosen = []
    for side in (order[:count], order[len(order) - count :]):
        places = np.arange(count)
        shuffle(places)
        chosen.append(np.split(side[places], [int(count * options.train)]))
    (with_train, with_held), (without_train, without_held) = chosen
    left = order[count : len(order) - count]
    level = (scores[order[0]] + scores[order[-1]]) / 2 if len(order) else 0.0
    above = scores[left] >= level
    return Selection(
        (with_train, without_train), (with_held, without_held), (left[above], left[~above])
    )


def fit(
    latents: np.ndarray, selection: Selection, options: Options = DEFAULTS
) -> tuple[np.ndarray, float, bool]:
    """(unit normal float64 [D], bias, whether the solver converged) of the training faces."""
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.svm import LinearSVC
    except ImportError as error:
        raise MissingExtra(
            "a hyperplane needs scikit-learn; run: pip install mien[study]"
        ) from error
    rows = np.concatenate(selection.train)
    labels = np.repeat((1, -1), [len(side) for side in selection.train])
    machine = LinearSVC(
        C=options.C, loss=options.loss, dual=options.loss == "hinge", tol=options.tolerance,
        intercept_scaling=INTERCEPT, max_iter=options.iterations, random_state=options.seed,
    )  # fmt: skip
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        machine.fit(latents[rows], labels)
    normal = machine.coef_[0].astype(np.float64)
    length = float(np.linalg.norm(normal))
    if not length > 0:
        raise BadInput("no hyperplane separates these faces; their latents are all alike")
    stopped = any(issubclass(entry.category, ConvergenceWarning) for entry in caught)
    return normal / length, float(machine.intercept_[0]) / length, not stopped


def _selections(data: Labelled, options: Options) -> Iterator[tuple[str, Selection]]:
    """Each attribute that has enough faces, and its faces."""
    found = False
    for column, name in enumerate(data.attributes.names):
        selection = _selection(data, column, options)
        fewest = min(len(side) for side in selection.train)
        if fewest >= max(options.fewest, 1):
            found = True
            yield name, selection
        elif not options.skip_rare:
            raise BadInput(
                f"{name} has {fewest} faces to train with on one side, fewer than "
                f"{max(options.fewest, 1)}; give more faces, raise ratio, or skip rare attributes"
            )
    if not found:
        raise BadInput("no attribute has enough faces to train with; give more faces")


def _selection(data: Labelled, column: int, options: Options) -> Selection:
    """The faces of one attribute, at most as many a side as the rarer label has."""
    labels = data.attributes.table[:, column]
    known = int((labels != 0).sum())
    wanted = int(options.ratio * known if options.ratio <= 1 else options.ratio)
    count = min(wanted, int((labels > 0).sum()), int((labels < 0).sum()))
    if data.scores is None:
        return _of_labels(labels, count, options)
    capped = replace(options, ratio=float(max(count, 2)))  # 1 would be a share
    return select(np.asarray(data.scores[:, column], np.float64), capped)


def _of_labels(labels: np.ndarray, count: int, options: Options) -> Selection:
    """As `select` with `count` faces a side, but no face of one label stands for the other."""
    order = np.random.default_rng(options.seed).permutation(len(labels))
    sides = [order[labels[order] == sign] for sign in (1, -1)]
    cut = int(count * options.train)
    return Selection(
        (sides[0][:cut], sides[1][:cut]),
        (sides[0][cut:count], sides[1][cut:count]),
        (sides[0][count:], sides[1][count:]),
    )


def _accuracy(scores: np.ndarray, selection: Selection) -> dict[str, Any]:
    """Shares of faces on their side of the hyperplane (scores [N] above 0 or not), and counts."""
    notes: dict[str, Any] = {}
    for part in ("train", "held", "remaining"):
        have, lack = getattr(selection, part)
        count = len(have) + len(lack)
        right = int((scores[have] > 0).sum() + (scores[lack] <= 0).sum())
        notes[part] = {"faces": count, "correct": right}
        notes[part]["accuracy"] = round(right / count, 6) if count else None
    return notes

"""Sparse orthogonal basis: one direction an attribute, all at right angles.

Zaeemzadeh et al., "Face Image Retrieval with Attribute Manipulation" (ICCV
2021), Algorithms 1 and 2. The paper leaves the initialisation and the stopping
rule open; its published reproduction (CENG501, Project_Ulas) starts Xavier
uniform, averages the hinge over the faces where the paper sums it, stops after
500 epochs without a better validation loss and divides F, but not b, by the
final lengths (`legacy_bias` here). Its settings are
Options(initialise="xavier", learning_rate=1e-4, l1=0, epochs=100_000, centre=False).
The l1 term rarely leaves zeros: a subgradient step does not make any, and the
orthogonalisation after a proximal step fills most of them again.

Latents of some spaces lie far from 0 (w+ of `stylegan2-64`: mean length 105, deviation of a
number 1.28), where a step of F moves all scores at once and training swings or diverges. So by
default F and b are learned for x = (w - mean) / deviation of the training faces, one deviation
for all numbers, and given back for the latents as they are. Only the speed changes, and the
l1 term, which is then of the F that x is multiplied by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mien.checks import check_finite, check_numbers, check_shape
from mien.directions import _descent
from mien.directions._assemble import assemble, plain_options
from mien.directions._centre import Centring
from mien.directions._contrast import contrasts, with_enough
from mien.directions._epochs import Labels, Read, begin, epoch_of
from mien.directions._polar import nearest_orthogonal
from mien.directions.contract import Labelled
from mien.errors import BadInput, UnknownName
from mien.files import write_bytes
from mien.types import Directions

__all__ = ["Fitted", "Options", "csv_log", "find", "fit_basis", "nearest_orthogonal"]

Row = dict[str, float]  # one epoch of the log
Report = Callable[[Row], None]
CHOICES = {
    "initialise": ("mean_difference", "xavier", "normal"),
    "loss": ("mean", "sum"),
    "l1_step": ("subgradient", "proximal"),
    "orthogonalise": ("every_step", "riemannian"),
    "precision": ("float64", "float32", "bfloat16"),
}


@dataclass(frozen=True)
class Options:
    """Options of Algorithm 2; defaults that differ from the paper say so."""

    initialise: str = "mean_difference"  # or "xavier" (uniform), "normal"
    normal_scale: float = 0.1  # standard deviation of "normal"
    loss: str = "mean"  # of the hinge over the faces; the paper has "sum"
    l1: float = 0.005  # weight of |F|_1; the paper's value
    l1_step: str = "subgradient"  # or "proximal" (soft threshold after the step)
    learning_rate: float = 0.01  # the paper's value
    orthogonalise: str = "every_step"  # Algorithm 2; "riemannian" takes from the gradient first
    # what the orthogonalisation would undo (`_polar.tangent`), and starts orthogonal
    centre: bool = True  # learn for centred latents of unit deviation; the paper does not
    optimiser: str = "gradient"  # plain descent, or the name of a torch.optim class
    optimiser_options: Mapping[str, object] = field(default_factory=dict)  # such as momentum
    batch: int | None = None  # faces a step; None = all
    epochs: int = 2000  # at most
    patience: int = 500  # epochs without a better validation loss before stopping
    validation: float = 0.1  # share of the faces `find` holds out
    legacy_bias: bool = False  # leave b as it was for the unnormalised F
    precision: str = "float64"  # of the products with the latents; "bfloat16" rounds these to
    # 8 bits and F to 16, for CPUs with matrix units (AMX)
    fewest: int = 10  # `find`: faces needed on either side of an attribute
    skip_rare: bool = False  # `find`: leave attributes with fewer out instead of refusing
    seed: int = 0  # of initialisation, batches and the held-out faces

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise UnknownName(f"choice of {name}", str(getattr(self, name)), known)
        positive = ("learning_rate", "normal_scale")
        check_numbers(self, shares=("validation",), positive=positive)
        if self.validation == 1:
            raise BadInput(f"validation={self.validation} leaves no faces to learn from; give less")


DEFAULTS = Options()


@dataclass(frozen=True)
class Fitted:
    """The best epoch: vectors float64 [D, M] orthonormal, bias float64 [M], and the log.

    history: a row an epoch: epoch (from 1), train (with the l1 term, before the
    step) and validation (after Algorithm 1, without it).
    """

    vectors: np.ndarray
    bias: np.ndarray
    best_epoch: int
    history: tuple[Row, ...]


def fit_basis(
    latents: np.ndarray,
    labels: np.ndarray,
    validation: Labels | None = None,
    options: Options = DEFAULTS,
    init: np.ndarray | None = None,
    report: Report | None = None,
) -> Fitted:
    """Algorithm 2 on latents [N, D] and labels [N, M] in {1, -1, 0 = unknown}.

    init: a starting F [D, M], in place of options.initialise; b starts at 0, or with
    options.centre so that the mean latent scores 0.
    validation: (latents, labels) that choose the best epoch; without it the
    training faces do. report: called with every row of the log. Raises BadInput
    for shapes or options that do not fit, and when the training diverges.
    """
    values, table = _checked(latents, labels, options)
    known = Centring.of(values) if options.centre else Centring.none(values.shape[1])
    train = held = (known.apply(values), table)
    if validation is not None:
        values, table = _checked(*validation, options)
        held = (known.apply(values), table)
    run = begin(train, options, None if init is None else init * known.deviation)
    read = _halved(train) if options.precision == "bfloat16" else train
    generator = np.random.default_rng(options.seed)
    history: list[Row] = []
    best, best_epoch, kept = np.inf, 0, (run.vectors.copy(), run.bias.copy())
    for epoch in range(1, options.epochs + 1):
        loss = epoch_of(run, read, generator)
        score = _descent.mean_hinge(_descent.scores(held[0], run.vectors, run.bias), held[1])
        if not np.isfinite(loss + score):
            raise BadInput(f"training diverged in epoch {epoch}; lower learning_rate")
        history.append({"epoch": epoch, "train": loss, "validation": score})
        if report is not None:
            report(history[-1])
        if score < best:
            best, best_epoch, kept = score, epoch, (run.vectors.copy(), run.bias.copy())
        if epoch - best_epoch >= options.patience:
            break
    return _finish(known.undo(*kept), best_epoch, history, options)


def csv_log(path: Path) -> Report:
    """A `report` that writes every row to a CSV file as it comes, below a line of names."""
    columns = ("epoch", "train", "validation")
    write_bytes(path, (",".join(columns) + "\n").encode())

    def report(row: Row) -> None:
        with Path(path).open("a", encoding="utf-8") as handle:
            handle.write(",".join(f"{row[key]:.9g}" for key in columns) + "\n")

    return report


def find(
    data: Labelled,
    options: Options = DEFAULTS,
    validation: Labelled | None = None,
    init: np.ndarray | None = None,
    report: Report | None = None,
) -> Directions:
    """An orthonormal basis by Algorithm 2; arguments as for `fit_basis`.

    validation: faces that choose the best epoch; without it a share
    options.validation of `data` is held out for that. Raises BadInput naming an
    attribute with too few faces.
    """
    weights = contrasts(data.attributes)
    names = with_enough(data.attributes, weights, options.fewest, options.skip_rare)
    data = Labelled(data.latent, data.attributes.select(names))
    train, held = (data, validation) if validation else _split(data, options)
    fitted = fit_basis(
        train.latent.flat, train.attributes.table,
        (held.latent.flat, held.attributes.select(names).table) if held else None,
        options, init, report,
    )  # fmt: skip
    provenance = {
        "method": "orthogonal_basis",
        "options": plain_options(options),
        "best_epoch": fitted.best_epoch,
        "epochs": len(fitted.history),
        "best": dict(fitted.history[fitted.best_epoch - 1]),
    }
    return assemble(data, fitted.vectors, fitted.bias, provenance, orthonormal=True)


def _halved(data: Labels) -> Read:
    import torch

    return torch.from_numpy(data[0]).to(torch.bfloat16), data[1]


def _finish(
    kept: tuple[np.ndarray, np.ndarray], best_epoch: int, history: list[Row], options: Options
) -> Fitted:
    """Unit columns; b is divided by the same lengths, so that every sign stays what it was."""
    vectors, bias = kept
    lengths = np.linalg.norm(vectors, axis=0)
    scaled = bias[0] if options.legacy_bias else bias[0] / lengths
    return Fitted(vectors / lengths, scaled, best_epoch, tuple(history))


def _split(data: Labelled, options: Options) -> tuple[Labelled, Labelled | None]:
    """(training faces, held-out faces or None) in a random order of options.seed."""
    order = np.random.default_rng([options.seed, 2]).permutation(len(data.latent))
    held = round(options.validation * len(order))
    return data.rows(np.sort(order[held:])), data.rows(np.sort(order[:held])) if held else None


def _checked(latents: np.ndarray, labels: np.ndarray, options: Options) -> Labels:
    """Arrays in the precision of the options (float32 for bfloat16), or BadInput."""
    check_shape(latents, (None, None), "latents")
    check_shape(labels, (len(latents), None), "labels")
    check_finite(latents, "latents")
    if not len(latents):
        raise BadInput("there are no faces to learn a basis from; give labelled latents")
    if not np.isin(labels, (-1, 0, 1)).all():
        raise BadInput("labels must be 1 (present), -1 (absent) or 0 (unknown)")
    # torch reads them in place: contiguous, and writable, or it warns
    kind = "float64" if options.precision == "float64" else "float32"
    return np.require(latents, kind, ["C", "W"]), labels.astype(np.float64)

"""One pass of Algorithm 2 over the faces, and what it starts from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mien.checks import check_shape
from mien.directions import _descent
from mien.directions._polar import nearest_orthogonal, tangent
from mien.directions._start import mean_difference_start, random_start

if TYPE_CHECKING:
    import torch

    from mien.directions.orthogonal_basis import Options

Labels = tuple[np.ndarray, np.ndarray]  # latents [N, D], labels [N, M]
Read = tuple["np.ndarray | torch.Tensor", np.ndarray]  # the same, latents perhaps in bfloat16


@dataclass(frozen=True)
class Run:
    """What one training changes in place (F [D, M], b [1, M]) and how."""

    vectors: np.ndarray
    bias: np.ndarray
    options: Options
    step: _descent.Step
    pulled: _descent.Pulled = field(default_factory=_descent.Pulled)


def epoch_of(run: Run, data: Read, generator: np.random.Generator) -> float:
    """One pass; the loss of the batches, each before its step, l1 term included."""
    count, size = len(data[0]), run.options.batch
    if size is None or size >= count:
        return _batch(run, data, run.pulled)
    order = generator.permutation(count)
    parts = [order[start : start + size] for start in range(0, count, size)]
    losses = [_batch(run, (data[0][rows], data[1][rows])) for rows in parts]
    if run.options.loss == "sum":
        return float(np.sum(losses))
    return float(np.average(losses, weights=[len(rows) for rows in parts]))


def _batch(run: Run, data: Read, pulled: _descent.Pulled | None = None) -> float:
    """One step on the hinge and the l1 term, then Algorithm 1.

    pulled: of the last step, where all steps are on the same faces.
    """
    options, vectors = run.options, run.vectors
    weight = np.ones(vectors.shape[1]) if options.loss == "sum" else _descent.per_face(data[1])
    loss, slope, slope_bias = _descent.hinge_gradient(vectors, run.bias, *data, weight, pulled)
    loss += options.l1 * float(np.abs(vectors).sum())
    if options.l1_step == "subgradient":
        slope += options.l1 * np.sign(vectors)
    if options.orthogonalise == "riemannian":
        slope = tangent(vectors, slope)
    run.step(slope, slope_bias)
    if not np.isfinite(np.linalg.norm(vectors)):
        return float("nan")
    if options.l1_step == "proximal":
        vectors[:] = _descent.soft_threshold(vectors, options.learning_rate * options.l1)
    vectors[:] = nearest_orthogonal(vectors)
    return loss


def begin(data: Labels, options: Options, init: np.ndarray | None) -> Run:
    """What the first epoch starts from; BadInput when init [D, M] does not fit the data."""
    vectors, bias = _starting(data, options, init)
    if options.orthogonalise == "riemannian":
        vectors = nearest_orthogonal(vectors)
    return Run(vectors, bias, options, _stepper(vectors, bias, options))


def _starting(
    data: Labels, options: Options, init: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    shape = (data[0].shape[1], data[1].shape[1])
    if init is not None:
        check_shape(init, shape, "the initial basis")
        return np.array(init, np.float64), np.zeros((1, shape[1]))
    if options.initialise == "mean_difference":
        return mean_difference_start(*data)
    return random_start(shape, options.initialise, options.normal_scale, options.seed)


def _stepper(vectors: np.ndarray, bias: np.ndarray, options: Options) -> _descent.Step:
    if options.optimiser == "gradient":
        return _descent.gradient_step(vectors, bias, options.learning_rate)
    return _descent.torch_step(
        vectors, bias, options.learning_rate, options.optimiser, options.optimiser_options
    )

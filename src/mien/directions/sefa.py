"""SeFa: directions that change the first layer's output most, from the weights alone.

Shen and Zhou, "Closed-Form Factorization of Latent Semantics in GANs" (CVPR 2021),
equations 3 to 6: an affine layer y = A w + b answers a move of w by n with A n,
whatever w is, so the unit vectors that move y most are the first eigenvectors of
A^T A. Chosen layers are stacked, and each output channel is scaled to length 1
first, as the published code does.

That code takes eigenvectors in the order of a general eigensolver, which sorts
nothing and fixes no sign, so that its published index numbers depend on the
linear algebra library. Here they are sorted by eigenvalue and turned so that
the largest entry is positive; Options(order="published") calls the same solver
for old index numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mien.checks import check_finite, check_numbers, check_shape
from mien.directions._assemble import plain_options
from mien.directions._components import components, fix_signs
from mien.directions._layers import layer_set
from mien.directions.contract import Labelled
from mien.errors import BadInput, UnknownName
from mien.types import Directions

LABELS = False
SAMPLES = 256  # latents that set low and high; directions come from the weights
ORDERS = ("sorted", "published")


@dataclass(frozen=True)
class Options:
    """Options of the factorisation."""

    layers: str = "all"  # rows of w+ whose style layers are factorised and moved: "0-3,5"
    components: int = 20  # directions kept
    normalise: bool = True  # scale every output channel to length 1, as published
    order: str = "sorted"  # by eigenvalue, signs fixed; or "published": np.linalg.eig as it comes

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise UnknownName("choice of order", self.order, ORDERS)
        check_numbers(self)


DEFAULTS = Options()


def find(data: Labelled, options: Options = DEFAULTS) -> Directions:
    """Directions from the weights of data.source, a space with `style_weights`.

    An amount of 1 moves every chosen row of a latent [L, D] by 1, and no other row.
    Latents only set low and high. Raises BadInput when the space has no style
    layers, or not that many layers or components.
    """
    weights = _weights_of(data)
    rows = layer_set(options.layers, len(weights))
    values, vectors = factorise([weights[row] for row in rows], options)
    kept = vectors[:, : options.components]
    if kept.shape[1] < options.components:
        raise BadInput(f"w has {kept.shape[1]} dimensions; ask for at most that many components")
    spread = np.zeros((len(weights), *kept.shape))
    spread[list(rows)] = kept / np.sqrt(len(rows))
    provenance = {
        "method": "sefa",
        "options": plain_options(options),
        "rows": list(rows),
        "eigenvalues": [round(float(value), 6) for value in values[: options.components]],
    }
    flat = spread.reshape(-1, kept.shape[1])
    unit = np.full(kept.shape[1], np.sqrt(len(rows)))
    centre = data.latent.flat.mean(axis=0, dtype=np.float64) if len(data.latent) else 0 * flat[:, 0]
    return components(data.latent, flat, unit, centre, provenance)


def factorise(
    weights: Sequence[np.ndarray], options: Options = DEFAULTS
) -> tuple[np.ndarray, np.ndarray]:
    """(eigenvalues [D], eigenvectors [D, D] as columns) of stacked matrices [outputs, D].

    Sorted: float64 and descending. Published: float32 and as np.linalg.eig returns
    them (the real part, should rounding make a pair complex).
    """
    if not weights:
        raise BadInput("no layer was chosen to factorise; choose one or more")
    for weight in weights:
        check_shape(weight, (None, weights[0].shape[1]), "style weight")
        check_finite(weight, "style weight")
    if options.order == "published":
        stacked = _stacked(weights, options, np.float32)
        values, vectors = np.linalg.eig(stacked @ stacked.T)
        return np.real(values), np.real(vectors)
    stacked = _stacked(weights, options, np.float64)
    values, vectors = np.linalg.eigh(stacked @ stacked.T)
    return values[::-1], fix_signs(vectors[:, ::-1])


def _stacked(weights: Sequence[np.ndarray], options: Options, kind: type) -> np.ndarray:
    """[D, all outputs], columns of length 1 if wanted; a channel without weights stays 0.

    In the published memory layout: another order of summation rounds differently, and
    that alone can change the order in which the general solver returns its pairs.
    """
    stacked: np.ndarray = np.ascontiguousarray(np.concatenate(weights).T.astype(kind))
    if not options.normalise:
        return stacked
    lengths = np.linalg.norm(stacked, axis=0, keepdims=True)
    return np.asarray(stacked / np.where(lengths > 0, lengths, 1))


def _weights_of(data: Labelled) -> Sequence[np.ndarray]:
    """The style weights, one matrix a row of the latents."""
    read = getattr(data.source, "style_weights", None)
    if read is None:
        raise BadInput(
            f"{data.latent.model} has no style layers to factorise; use sefa with a PGGAN, "
            "StyleGAN or StyleGAN2 space"
        )
    weights: Sequence[np.ndarray] = read()
    shape = data.latent.values.shape[1:]
    if len(weights) * weights[0].shape[1] != int(np.prod(shape)):
        raise BadInput(
            f"latents are {list(shape)}, but the space has {len(weights)} style layers of "
            f"{weights[0].shape[1]}; give latents of this space"
        )
    return weights

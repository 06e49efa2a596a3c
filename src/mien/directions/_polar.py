"""Algorithm 1 of the sparse orthogonal basis: the nearest orthogonal set."""

from __future__ import annotations

import numpy as np

from mien.checks import check_finite, check_shape
from mien.errors import BadInput

APART = 1e-3  # eigenvalue of F^T F below which its rounding would be seen in the root


def nearest_orthogonal(vectors: np.ndarray, names: tuple[str, ...] | None = None) -> np.ndarray:
    """The nearest set of orthogonal columns, each at its old length: float64 [D, M].

    The unit columns F become F (F^T F)^-1/2; where they are nearly dependent, and rounding would
    count, computed as Q (U V^T) of F = Q R and R = U S V^T, which takes several times as long.
    Zaeemzadeh et al. (ICCV 2021), Algorithm 1. Raises BadInput, naming the
    columns, when some depend on one another.
    """
    check_shape(vectors, (None, None), "vectors")
    check_finite(vectors, "vectors")
    names = names or tuple(f"column {number}" for number in range(vectors.shape[1]))
    if vectors.shape[1] > vectors.shape[0]:
        raise BadInput(
            f"{vectors.shape[1]} directions cannot be orthogonal in {vectors.shape[0]} "
            "dimensions; choose fewer attributes"
        )
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=0)
    if not (lengths > 0).all():
        zero = names[int(np.argmin(lengths))]
        raise BadInput(f"the direction of {zero} has length 0; lower l1 or leave it out")
    unit = wide / lengths
    values, own = np.linalg.eigh(unit.T @ unit)
    if values.size and values[0] > APART:
        return np.asarray(unit @ ((own / np.sqrt(values)) @ own.T * lengths))
    tall, small = np.linalg.qr(unit)
    left, spread, right = np.linalg.svd(small)
    if spread.size and spread[-1] < 1e-7:
        raise BadInput(dependence(right[-1], names))
    return np.asarray((tall @ (left @ right)) * lengths)


def tangent(vectors: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """The part of a gradient [D, M] along which the orthogonal columns [D, M] stay orthogonal.

    The orthogonal projection on the tangent space, at F = Q C, of matrices with orthogonal
    columns of any lengths C. With A = Q^T G a movement inside the span of Q is a rotation W C
    (W skew, W_ij = (A_ij c_j - A_ji c_i) / (c_i^2 + c_j^2)) and any change of lengths; what
    is orthogonal to the span is free. At equal lengths this is the tangent space of the
    Stiefel manifold (Edelman et al., 1998, section 2.2) and the lengths. Columns must be
    orthogonal and longer than 0.
    """
    lengths = np.linalg.norm(vectors, axis=0)
    unit, own, other = vectors / lengths, lengths[None, :], lengths[:, None]
    inner = unit.T @ slope
    turned = (inner * own - inner.T * other) / (own**2 + other**2) * own
    np.fill_diagonal(turned, np.diag(inner))
    return np.asarray(slope - unit @ (inner - turned))


def dependence(combination: np.ndarray, names: tuple[str, ...]) -> str:
    """One sentence on the columns that cancel in a null combination [M]."""
    size = np.abs(combination)
    involved = [names[i] for i in np.argsort(-size) if size[i] > 0.1 * size.max()]
    return (
        f"the directions of {' and '.join(involved[:4])} depend linearly on one another; "
        "leave one of them out"
    )

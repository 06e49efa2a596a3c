"""Algorithm 1 of the sparse orthogonal basis: the nearest orthogonal set."""

from __future__ import annotations

import numpy as np

from mien.checks import check_finite, check_shape
from mien.errors import BadInput


def nearest_orthogonal(vectors: np.ndarray, names: tuple[str, ...] | None = None) -> np.ndarray:
    """The nearest set of orthogonal columns, each at its old length: float64 [D, M].

    The unit columns F become F (F^T F)^-1/2, computed as U V^T of the thin SVD.
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
    left, spread, right = np.linalg.svd(wide / lengths, full_matrices=False)
    if spread.size and spread[-1] < 1e-7:
        raise BadInput(dependence(right[-1], names))
    return np.asarray((left @ right) * lengths)


def dependence(combination: np.ndarray, names: tuple[str, ...]) -> str:
    """One sentence on the columns that cancel in a null combination [M]."""
    size = np.abs(combination)
    involved = [names[i] for i in np.argsort(-size) if size[i] > 0.1 * size.max()]
    return (
        f"the directions of {' and '.join(involved[:4])} depend linearly on one another; "
        "leave one of them out"
    )

"""Directions that no label names: component_0, component_1, ..."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mien.directions._assemble import assemble
from mien.directions._linear import covariance
from mien.directions.contract import Labelled
from mien.errors import BadInput
from mien.types import Attributes, Directions, Latent


def component_names(count: int) -> tuple[str, ...]:
    """component_0 to component_{count - 1}."""
    return tuple(f"component_{number}" for number in range(count))


def fix_signs(vectors: np.ndarray) -> np.ndarray:
    """The columns of vectors [D, M], each turned so that its largest entry is positive.

    An eigenvector has no sign of its own; without a rule another library or
    machine would turn an edit around.
    """
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.sign(vectors[largest, np.arange(vectors.shape[1])])
    return np.asarray(vectors * np.where(signs == 0, 1, signs))


def components(
    latent: Latent,
    vectors: np.ndarray,  # [D, M] unit columns over flattened latents
    unit: np.ndarray,  # [M] latent length of an amount of 1
    centre: np.ndarray,  # [D], where every bias puts its boundary
    provenance: Mapping[str, Any],
) -> Directions:
    """Directions of nameless components, low and high from the coordinates of `latent`."""
    count = vectors.shape[1]
    unknown = np.zeros((len(latent), count), np.int8)
    data = Labelled(latent, Attributes(component_names(count), unknown))
    square = vectors.T @ vectors
    level = bool(np.abs(square - np.eye(count)).max(initial=0) < 1e-5)
    found = assemble(data, vectors, -(centre @ vectors), provenance, orthonormal=level)
    return replace(found, unit=np.maximum(unit, 1e-6).astype(np.float32))


def principal_axes(rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(axes [D, count], variances [D] descending, mean [D]) of rows [N, D], all float64.

    Signs are fixed. Raises BadInput for fewer than two rows or more axes than
    they span.
    """
    limit = min(len(rows) - 1, rows.shape[1])
    if not 1 <= count <= limit:
        raise BadInput(
            f"{count} components were asked of {len(rows)} latents with {rows.shape[1]} "
            f"dimensions; ask for 1 to {max(limit, 1)}, or give more latents"
        )
    mean = rows.mean(axis=0, dtype=np.float64)
    variances, axes = np.linalg.eigh(covariance(rows, mean))
    return fix_signs(axes[:, ::-1][:, :count]), np.maximum(variances[::-1], 0), mean

"""Published directions (InterFaceGAN, GANSpace, closed-form factors) as directions of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.checks import check_finite
from mien.directions._components import components
from mien.errors import BadInput, BadModel, SpaceMismatch
from mien.types import Directions, Latent

if TYPE_CHECKING:
    from mien.generators.contract import Space
    from mien.published import Published

SAMPLES = 1000  # drawn to learn where the coordinates of faces lie
MOST = 80  # components kept, as GANSpace publishes
ROWS = {"w": "w+"}  # a direction of w moves all rows of w+ alike


@dataclass(frozen=True)
class ImportOptions:
    """What a published file does not say of its directions."""

    latent: str  # the latent space it was found in: "z", "w" or "w+"
    name: str = ""  # of a single direction; the file's name if empty


def import_directions(path: Path, space: Space, options: ImportOptions) -> Directions:
    """The directions of a published file, moving the latents of `space`.

    An amount of 1 moves a latent once by the stored vector (a standard deviation
    of GANSpace's components); a direction of w moves all rows of w+ alike. low,
    high and the boundary come from samples of the space, since the files keep no
    intercept. Raises BadModel for a file that cannot be read, SpaceMismatch for directions
    of another latent space and BadInput for another width.
    """
    from mien.published import DIRECTIONS, digest_of, read  # readers that editing never needs

    path = Path(path)
    published = read(path)
    if published.kind not in DIRECTIONS:
        raise BadInput(f"{path} holds a {published.kind.value} network, not directions")
    latent = space.sample(SAMPLES)
    _check_space(options.latent, latent)
    vectors, lengths = _columns(published, latent, path)
    provenance = {
        "method": "published",
        "format": published.kind.value,
        "file": path.name,
        "sha256": digest_of(path),
        "latent": options.latent,
    }
    centre = latent.flat.mean(axis=0, dtype=np.float64)
    found = components(latent, vectors, lengths, centre, provenance)
    if len(published.tensors) == 1 and published.kind != "sefa":
        found = replace(found, names=(options.name or path.stem,))
    return found


def _check_space(wanted: str, latent: Latent) -> None:
    if latent.space not in (wanted, ROWS.get(wanted)):
        raise SpaceMismatch(
            f"a direction in {wanted} cannot move {latent.space} of {latent.model}; name the "
            "space it was found in with --in, or the model it was found for with --for"
        )


def _columns(published: Published, latent: Latent, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(unit columns [D, M] over flattened latents, lengths [M] of an amount of 1)."""
    rows, scales = _rows(published.tensors)
    check_finite(rows, f"{path}")
    shape = latent.values.shape[1:]
    if len(shape) == 2 and rows.shape[1:2] == (1,):
        rows = np.repeat(rows, shape[0], axis=1)
    if rows.shape[1:] != shape and rows.shape[1:] != (1, *shape):
        raise BadInput(
            f"{path} holds directions of shape {list(rows.shape[1:])}, "
            f"latents of {latent.model} have {list(shape)}"
        )
    columns = rows.reshape(len(rows), -1).T
    lengths = np.linalg.norm(columns, axis=0)
    if not lengths.all():
        raise BadModel(f"{path} holds a direction of length 0; it is damaged")
    return columns / lengths, lengths * scales


def _rows(tensors: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(float64 [M, rows, D], how often each is moved by an amount of 1)."""
    if "eigvec" in tensors:
        vectors = tensors["eigvec"].T[:MOST, None]
        return vectors.astype(np.float64), np.ones(len(vectors))
    if len(tensors) > 1:
        return _ganspace(tensors)
    [vector] = tensors.values()
    held = vector.astype(np.float64)
    return held.reshape(1, -1, held.shape[-1]), np.ones(1)


def _ganspace(tensors: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Components with their standard deviations, from encoder4editing's file or GANSpace's own."""
    names = ("comp", "std") if "comp" in tensors else ("lat_comp", "lat_stdev")
    found, scales = (np.atleast_1d(tensors[name])[:MOST].astype(np.float64) for name in names)
    if scales.shape != (len(found),):
        raise BadModel(f"{len(found)} components have standard deviations of {scales.shape}")
    return found.reshape(len(found), -1, found.shape[-1]), scales

"""Directions as a model folder: kind "directions", names and marks in the card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mien.checkpoint import find_model, load_model, save_model
from mien.directions._distribution import bounded
from mien.directions.contract import BoundedDirections, Distribution
from mien.errors import BadInput, BadModel
from mien.types import Directions

KIND = "directions"
PER_ATTRIBUTE = ("bias", "low", "high", "unit")
SPREAD = ("mean", "axes", "scales", "limits")  # limits: rest, radius


def save_directions(folder: Path, directions: Directions) -> None:
    """Write a model folder that `open_directions` reads back; tensors are float32.

    Raises BadInput when the folder cannot be written or the provenance is not
    made of plain JSON values.
    """
    tensors = {key: getattr(directions, key) for key in ("vectors", *PER_ATTRIBUTE)}
    if directions.unit_down is not None:
        tensors["unit_down"] = directions.unit_down
    if isinstance(directions, BoundedDirections) and directions.distribution is not None:
        tensors |= _pack(directions.distribution)
    card = _card(Path(folder).name, directions)
    save_model(
        Path(folder), {key: np.asarray(value, np.float32) for key, value in tensors.items()}, card
    )


def open_directions(name_or_folder: str | Path) -> Directions:
    """Embedded directions by name, or a folder; BoundedDirections when a distribution is stored.

    Raises UnknownName, or BadModel when the folder is damaged or holds another
    kind of model.
    """
    tensors, card = load_model(find_model(name_or_folder))
    if card["kind"] != KIND:
        raise BadModel(f"{name_or_folder} is a {card['kind']}, not directions")
    try:
        directions = _unpack(tensors, card)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else f"does not fit: {error}"
        raise BadModel(f"{name_or_folder}: {reason}; fit the directions again") from error
    return directions


def _card(name: str, directions: Directions) -> dict[str, Any]:
    method = str(directions.provenance.get("method", "unknown"))
    card = {
        "name": name,
        "kind": KIND,
        "architecture": method,
        "method": method,
        "attributes": list(directions.names),
        "space": directions.space,
        "model": directions.model,
        "orthonormal": directions.orthonormal,
        "provenance": dict(directions.provenance),
    }
    try:
        json.dumps(card, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadInput(f"the provenance of {name} is not plain JSON values: {error}") from error
    return card


def _unpack(tensors: dict[str, np.ndarray], card: dict[str, Any]) -> Directions:
    directions = Directions(
        names=tuple(card["attributes"]),
        vectors=tensors["vectors"],
        **{key: tensors[key] for key in PER_ATTRIBUTE},
        space=card["space"],
        model=card["model"],
        orthonormal=card["orthonormal"],
        provenance=card["provenance"],
        unit_down=tensors.get("unit_down"),
    )
    if "distribution.mean" not in tensors:
        return directions
    mean, axes, scales, limits = (tensors[f"distribution.{key}"] for key in SPREAD)
    rest, radius = (float(value) for value in limits)
    return bounded(directions, Distribution(mean, axes, scales, rest, radius))


def _pack(distribution: Distribution) -> dict[str, np.ndarray]:
    known = distribution
    limits = np.array([known.rest, known.radius])
    values = (known.mean, known.axes, known.scales, limits)
    return {f"distribution.{key}": value for key, value in zip(SPREAD, values, strict=True)}

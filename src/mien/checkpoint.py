"""Model folders: model.safetensors + card.json, read without running any code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from mien.errors import BadInput, BadModel, UnknownName
from mien.files import check_folder, write_bytes, write_json

WEIGHTS, CARD = "model.safetensors", "card.json"
REQUIRED = ("name", "kind", "architecture", "sha256")


def assets() -> Path:
    """The folder of the embedded models and galleries."""
    return Path(str(resources.files("mien") / "assets"))


def embedded() -> list[str]:
    """Names of the embedded model folders."""
    return sorted(card.parent.name for card in assets().glob(f"*/{CARD}"))


def find_model(name_or_folder: str | Path) -> Path:
    """The folder of an embedded model by name, or the given model folder.

    Raises UnknownName (nearest names) when it is neither.
    """
    folder = Path(name_or_folder)
    if (folder / CARD).is_file():
        return folder
    if (assets() / str(name_or_folder) / CARD).is_file():
        return assets() / str(name_or_folder)
    raise UnknownName("model", str(name_or_folder), embedded())


def check_free(folder: Path) -> None:
    """Raise BadInput unless a new model can take `folder`: none lies there, and no file."""
    if (folder / CARD).exists() or (folder / WEIGHTS).exists():
        raise BadInput(f"{folder} holds a model already; choose another folder")
    check_folder(folder)


def check_name(name: str) -> None:
    """Raise BadInput unless `name` can be a model's: studies name files by it, so no folders."""
    if not name or name == ".." or Path(name).name != name:
        raise BadInput(f"{name!r} cannot be a model's name; give one without folders")


def save_model(folder: Path, tensors: Mapping[str, np.ndarray], card: Mapping[str, Any]) -> None:
    """Write a model folder; the card is written last and carries the weights' sha256.

    tensors: any NumPy dtype; what is stored is what is given (cast to float16
    before the call to halve the file). Raises what `check_name` raises of the card's name.
    """
    check_name(card["name"])
    folder.mkdir(parents=True, exist_ok=True)
    blob = save_tensors({key: np.ascontiguousarray(value) for key, value in tensors.items()})
    write_bytes(folder / WEIGHTS, blob)
    write_json(folder / CARD, {**card, "sha256": hashlib.sha256(blob).hexdigest()})


def load_card(folder: Path) -> dict[str, Any]:
    """card.json of a model folder; BadModel when it is missing, damaged or incomplete."""
    path = folder / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadModel(f"cannot read {path}: {error}; fetch or train the model again") from error
    missing = [key for key in REQUIRED if not isinstance(card, dict) or key not in card]
    if missing:
        raise BadModel(f"{path} lacks {', '.join(missing)}; it is not a mien model card")
    return dict(card)


def space_card(name_or_folder: str | Path) -> dict[str, Any]:
    """The card of the latent space that a model opens: its own, or its generator's if an encoder.

    Raises UnknownName for an unknown model.
    """
    card = load_card(find_model(name_or_folder))
    return load_card(find_model(card["generator"])) if card["kind"] == "encoder" else card


def load_model(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(tensors by key, card) of a model folder, checked against the card's sha256.

    Floating tensors come back as float32. Raises BadModel when a file is
    missing or damaged.
    """
    card = load_card(folder)
    path = folder / WEIGHTS
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise BadModel(f"cannot read {path}: {error.strerror}; the model is incomplete") from error
    if hashlib.sha256(blob).hexdigest() != card["sha256"]:
        raise BadModel(f"{path} is not the file its card describes; fetch or train it again")
    try:
        tensors = load_tensors(blob)
    except SafetensorError as error:
        raise BadModel(f"{path} is damaged: {error}") from error
    return {key: _widen(value) for key, value in tensors.items()}, card


def mark(card: Mapping[str, Any]) -> str:
    """The mark that latents carry: the model's name and a short hash of its weights.

    A generator whose latents are those of another, as after tuning to a photo, has that
    one's mark: its card says so by "latents_of".
    """
    return str(card.get("latents_of") or own_mark(card))


def own_mark(card: Mapping[str, Any]) -> str:
    """The model's name and a short hash of its very weights, whatever its latents are."""
    return f"{card['name']}@{str(card['sha256'])[:8]}"


def _widen(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype.kind == "f" else array

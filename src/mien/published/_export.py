"""A model folder back into a published layout, for programs that read no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mien.checkpoint import find_model, load_model
from mien.errors import BadInput, BadModel, UnknownName
from mien.files import atomic_open

STRENGTH = ".strength"  # of noise: one number, which model folders hold as [1]
WRAPPERS = {"rosinality": "g_ema", "nvidia": "G_ema", "genforce": "generator_smooth"}


def export_model(name_or_folder: str | Path, path: Path, layout: str) -> None:
    """Write the StyleGAN2 generator of a model folder as a torch file of that layout.

    layout: "rosinality", "genforce", or "nvidia" (a state dict under stylegan2-ada's
    names: its pickles carry code, which mien neither runs nor writes).
    Raises UnknownName, BadInput for another kind of model and a file that cannot be
    written, and BadModel where the layout cannot hold the model.
    """
    if layout not in WRAPPERS:
        raise UnknownName("layout", layout, WRAPPERS)
    tensors, card = load_model(find_model(name_or_folder))
    if card["architecture"] != "stylegan2":
        raise BadInput(f"{name_or_folder} is a {card['architecture']}; only stylegan2 is exported")
    theirs = _theirs(tensors, _options(card), layout)
    held: dict[str, Any] = {WRAPPERS[layout]: theirs}
    if layout == "rosinality":
        held["latent_avg"] = tensors["average"]
    _write(Path(path), held)


def _theirs(
    tensors: dict[str, np.ndarray], options: dict[str, Any], layout: str
) -> dict[str, np.ndarray]:
    from mien.generators.stylegan2 import Architecture
    from mien.published import genforce, nvidia, rosinality

    try:
        shape = Architecture(**options)
    except TypeError as error:
        raise BadModel(f"the card's options are no StyleGAN2's: {error}") from error
    tensors = tensors | {k: v.reshape(()) for k, v in tensors.items() if k.endswith(STRENGTH)}
    if layout == "rosinality":
        return rosinality.generator_from_ours(tensors, shape)
    if layout == "nvidia":
        return nvidia.generator_from_ours(tensors, shape)
    return genforce.generator_from_ours(tensors, shape)


def _options(card: dict[str, Any]) -> dict[str, Any]:
    """The card's options; JSON has made lists of tuples."""
    held = card.get("options", {})
    return {key: tuple(v) if isinstance(v, list) else v for key, v in held.items()}


def _write(path: Path, held: dict[str, Any]) -> None:
    import torch

    def as_torch(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: as_torch(inner) for key, inner in value.items()}
        return torch.from_numpy(np.array(value))

    with atomic_open(path) as handle:
        torch.save(as_torch(held), handle)

"""A model folder from an encoder's checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mien.checkpoint import find_model, load_card, mark, own_mark, save_model
from mien.encoders.psp import Architecture
from mien.errors import BadInput
from mien.faces.cache import cached_crops, to_bytes, to_unit
from mien.faces.celeba import read_celeba
from mien.files import atomic_open
from mien.generators import open_space
from mien.measure.perceptual import perceptual_distance
from mien.recognise.identity import embed
from mien.train._encoder_state import METHODS, Recipe
from mien.train.run import checkpoint_of, half_precision

Progress = Callable[[int, int, str], None]
PAIRS = 8  # photos and their drawings in the picture beside the card


def export(
    root: Path, folder: Path, name: str, recipe: Recipe, progress: Progress | None = None
) -> dict[str, Any]:
    """Write the model folder `folder/name` from the run's last checkpoint, return its card.

    The card keeps the stage that training had come to. Raises BadInput when the
    run has no checkpoint yet, one of other sizes, or one for another generator.
    """
    saved = checkpoint_of(folder)
    source = find_model(recipe.generator)
    if saved["generator"] != own_mark(load_card(source)):
        raise BadInput(f"{folder} was trained for {saved['generator']}, not {recipe.generator}")
    shape = recipe.shape(**_sizes(load_card(source)))
    tensors = _tensors(saved, shape, folder, recipe)
    card = _card(name, recipe, shape, saved)
    save_model(folder / name, tensors, card)
    photos = cached_crops(read_celeba(root, "test").paths, shape.size)[: recipe.tested]
    card["metrics"] = measure(folder / name, to_unit(photos), folder / "pairs.png")
    save_model(folder / name, tensors, card)
    if progress is not None:
        progress(1, 1, f"perceptual {card['metrics']['perceptual']}")
    return card


def measure(model: Path, faces: np.ndarray, picture: Path) -> dict[str, float]:
    """How near drawings of encoded faces [N, 3, S, S] come; writes the first ones to `picture`.

    pixel: mean squared error; perceptual: perceptual_distance; identity: mean cosine of
    the identity embeddings. The picture shows photos: keep it where they may be kept.
    """
    space = open_space(model)
    drawn = space.decode(space.encode(faces))
    save_pairs(picture, faces[:PAIRS], drawn[:PAIRS])
    cosines = (embed(faces) * embed(drawn)).sum(1)
    return {
        "photos": len(faces),
        "pixel": round(float(np.square(faces - drawn).mean()), 4),
        "perceptual": round(float(perceptual_distance(faces, drawn).mean()), 4),
        "identity": round(float(cosines.mean()), 4),
    }


def _sizes(card: dict[str, Any]) -> dict[str, int]:
    styles, latent = card["latent"]
    return {"size": card["input"]["size"], "styles": styles, "latent": latent}


def save_pairs(path: Path, photos: np.ndarray, drawn: np.ndarray) -> None:
    """Write faces [N, 3, S, S] in [-1, 1] in a row above their drawings as PNG, atomically."""
    rows = [np.concatenate(to_bytes(faces), axis=1) for faces in (photos, drawn)]
    with atomic_open(path) as handle:
        Image.fromarray(np.concatenate(rows)).save(handle, "PNG")


def _tensors(
    saved: dict[str, Any], shape: Architecture, folder: Path, recipe: Recipe
) -> dict[str, np.ndarray]:
    """Weights in fp16."""
    network = METHODS[recipe.method](shape)
    try:
        network.load_state_dict(saved["network"])
    except RuntimeError as error:
        raise BadInput(f"{folder} was trained at other sizes; give its --recipe again") from error
    return half_precision(network.state_dict())


def _card(name: str, recipe: Recipe, shape: Architecture, saved: dict[str, Any]) -> dict[str, Any]:
    done = saved["step"] * recipe.batch
    return {
        "name": name,
        "kind": "encoder",
        "architecture": recipe.method,
        "form": "styles",
        "centred": True,
        "stage": recipe.stage(done, shape.styles),
        "options": asdict(shape),
        "generator": recipe.generator,
        "generator_mark": mark(load_card(find_model(recipe.generator))),
        "images": done,
        "data": "CelebA train split (15,000 photos, mirrored at random)",
        "licence": "Apache-2.0 code; weights for non-commercial research (CelebA's terms)",
        "recipe": asdict(recipe),
    }

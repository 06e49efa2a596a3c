"""A model folder from a StyleGAN2's checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mien.checkpoint import save_model
from mien.errors import BadInput
from mien.faces.celeba import read_celeba
from mien.generators.stylegan2 import Architecture, Generator
from mien.train._stylegan2_state import Recipe
from mien.train._stylegan2_watch import distance, save_grid
from mien.train.run import checkpoint_of, half_precision

Progress = Callable[[int, int, str], None]
TRUNCATION = 0.7  # of the second picture: rarer faces given up for cleaner ones


def export(
    root: Path, folder: Path, name: str, recipe: Recipe, progress: Progress | None = None
) -> dict[str, Any]:
    """Write the model folder `folder/name` from the run's last checkpoint, return its card.

    Beside the weights (averaged, fp16) lie samples.png, 64 faces of seed 0
    without truncation, as the card's distance is measured, and truncated.png, the same
    drawn towards the average.
    Raises BadInput when the run has no checkpoint yet, or one of other sizes.
    """
    saved = checkpoint_of(folder)
    network = _averaged(saved, folder, recipe)
    images = saved["step"] * recipe.batch
    if progress is not None:
        progress(0, 1, f"distance over {recipe.measured} samples")
    paths = read_celeba(root, "train").paths
    card = _card(name, recipe.shape, saved["recipe"]) | {
        "images": images,
        "metrics": {
            "samples": recipe.measured,
            "frechet_mobilenet": round(distance(network, paths, recipe.measured), 2),
        },
        "curve": _curve(folder, recipe.batch, images),
    }
    save_model(folder / name, half_precision(network.state_dict()), card)
    save_grid(folder / name / "samples.png", network)
    save_grid(folder / name / "truncated.png", network, TRUNCATION)
    if progress is not None:
        progress(1, 1, f"distance {card['metrics']['frechet_mobilenet']}")
    return card


def _averaged(saved: dict[str, Any], folder: Path, recipe: Recipe) -> Generator:
    network = Generator(recipe.shape).requires_grad_(False).eval()
    try:
        network.load_state_dict(saved["averaged"])
    except RuntimeError as error:
        raise BadInput(f"{folder} was trained at other sizes; give its --recipe again") from error
    network.estimate_average()
    return network


def _curve(folder: Path, batch: int, images: int) -> list[list[float]]:
    """[photos shown, distance over `watched` samples] of the log up to the checkpoint."""
    log = folder / "log.jsonl"
    lines = map(json.loads, log.read_text(encoding="utf-8").splitlines() if log.is_file() else [])
    seen = [[line["step"] * batch, line["frechet"]] for line in lines if "frechet" in line]
    return [point for point in seen if point[0] <= images]


def _card(name: str, shape: Architecture, recipe: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "space",
        "architecture": "stylegan2",
        "space": "w+",
        "options": asdict(shape),
        "latent": [shape.styles, shape.latent],
        "input": {"size": shape.size, "frame": "celeba", "range": [-1, 1]},
        "data": "CelebA train split (15,000 photos, mirrored at random)",
        "licence": "Apache-2.0 code; weights for non-commercial research (CelebA's terms)",
        "recipe": recipe,
    }

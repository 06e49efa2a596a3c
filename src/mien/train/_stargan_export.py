"""A model folder from a StarGAN's checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mien.checkpoint import save_model
from mien.errors import BadInput
from mien.faces.cache import to_unit
from mien.generators._labels import Part, Vocabulary
from mien.generators.stargan import Generator, Norm, StarGAN, open_translator
from mien.measure.translation import translation_table
from mien.recognise.recogniser import Recogniser, open_recogniser
from mien.train._stargan_data import celeba_test, groups_of
from mien.train._stargan_state import Recipe, start
from mien.train.devices import open_devices
from mien.train.run import checkpoint_of, half_precision

Progress = Callable[[int, int, str], None]


def export(
    root: Path, folder: Path, name: str, recipe: Recipe, progress: Progress | None = None
) -> dict[str, Any]:
    """Write the model folder `folder/name` from the run's last checkpoint, return its card.

    Weights are the averaged ones, in fp16; the card's numbers come from the recogniser
    that comes with mien, on test photos, where its size and names are the model's.
    Raises BadInput when the run has no checkpoint yet, or one of other sizes. Of several
    processes the main one does it; the others get {}.
    """
    if not open_devices().main:
        return {}
    saved = checkpoint_of(folder)
    parts = tuple(Part(tuple(part["names"]), part["kind"]) for part in saved["labels"])
    state = start(recipe, Vocabulary(parts))
    try:
        state.load(saved)
    except (RuntimeError, ValueError) as error:
        raise BadInput(f"{folder} was trained at other sizes; give its --recipe again") from error
    names = len(state.vocabulary.names)
    tensors = half_precision(_strengthened(state.averaged.module, names, recipe).state_dict())
    card = _card(name, recipe, state.vocabulary, saved)
    save_model(folder / name, tensors, card)
    if progress is not None:
        progress(0, 1, f"translations of {recipe.tested} test photos")
    card["metrics"] = measure(open_translator(folder / name), root, recipe)
    save_model(folder / name, tensors, card)
    if progress is not None:
        progress(1, 1, "exported")
    return card


def _strengthened(network: Generator, names: int, recipe: Recipe) -> Generator:
    """The generator with the recipe's accents, adding `gain` times as much by its last layer.

    names: of all labels, which are the first rows of its tables.
    Raises BadInput for other than one accent each.
    """
    accents = torch.tensor(recipe.accents or (1.0,) * names)[:, None]
    if len(accents) != names:
        raise BadInput(f"accents has {len(accents)} numbers for {names} names; give each one")
    last: Any = network.main[-1]
    with torch.no_grad():
        last.weight.mul_(recipe.gain)
        for norm in network.modules():
            if isinstance(norm, Norm) and norm.lookup:
                norm.gain[:names] *= accents
                norm.bias[:names] *= accents
    return network


def measure(translator: StarGAN, root: Path, recipe: Recipe) -> dict[str, Any]:
    """`translation_table` of each share of CelebA's names, over the first test photos."""
    recogniser = open_recogniser()
    faces, labels = celeba_test(root, recipe, recipe.tested)
    tables = []
    for number in range(len(groups_of(recipe))):
        part = translator.vocabulary.parts[number]
        if recogniser.size != translator.size or not set(part.names) <= set(recogniser.names):
            continue  # nobody at hand who could tell
        tables.append(_table((translator, recogniser), part, (to_unit(faces), labels), number))
    return {"photos": len(faces), "judge": recogniser.card["name"], "parts": tables}


def _table(
    models: tuple[StarGAN, Recogniser], part: Part, photos: tuple[Any, Any], number: int
) -> dict[str, Any]:
    faces, labels = photos[0], photos[1][number]
    targets = zip(part.names, part.targets(labels), strict=True)
    wanted = {name: target.numpy() for name, target in targets}
    return translation_table(*models, faces, labels.numpy(), wanted, number)


def _card(
    name: str, recipe: Recipe, vocabulary: Vocabulary, saved: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "translator",
        "architecture": "stargan",
        "options": asdict(recipe.shape(vocabulary.width)),
        "parts": saved["labels"],
        "input": {"size": recipe.size, "frame": "celeba", "range": [-1, 1]},
        "steps": saved["step"],
        "data": "CelebA train split (15,000 photos, mirrored at random)",
        "licence": "Apache-2.0 code; weights for non-commercial research (CelebA's terms)",
        "recipe": saved["recipe"] | {"gain": recipe.gain, "accents": list(recipe.accents)},
    }

"""The whole edit: a photo's face to a latent, along the directions, and back into the photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mien.directions import edit
from mien.edit.recipe import Recipe
from mien.faces.paste import paste
from mien.types import Directions, Latent

if TYPE_CHECKING:  # importing torch costs seconds; whoever calls has opened them already
    from mien.directions.contract import Recognises
    from mien.faces.portrait import Portrait
    from mien.generators.contract import Space


SHARES = np.array([0.25, 0.5, 0.75, 1.0])  # of the way to a wanted presence
NEAR = 0.1  # of a wanted presence: seen


@dataclass(frozen=True)
class EditedPhoto:
    """An edited photo and what led to it.

    photo: uint8 [H, W, 3], the whole photo with the edited face pasted back.
    face, reconstruction: float32 [3, S, S] in [-1, 1], the decoded face after
        the edit and without it.
    latent: of the unedited face (N = 1). amounts: the calibrated units that
        the face was moved along each attribute. present: the recogniser's
        probabilities of the reconstruction.
    """

    photo: np.ndarray
    face: np.ndarray
    reconstruction: np.ndarray
    latent: Latent
    amounts: Mapping[str, float]
    present: Mapping[str, float]


def edit_photo(
    portrait: Portrait,
    space: Space,
    directions: Directions,
    recogniser: Recognises,
    recipe: Recipe,
) -> EditedPhoto:
    """Edit the face of a portrait and put it back into its photo.

    Presences are turned into amounts against the recogniser's probabilities of
    the reconstruction, not of the photo, because the edit starts from there; of
    that way only as many quarters are gone as the recogniser needs to see the
    wanted presences within 0.1, since every further step costs identity.
    The models are the ones given; those that the recipe names are not opened.
    Raises UnknownName for an attribute that the directions or the recogniser
    lack, SpaceMismatch for directions of another space.
    """
    for name in (*recipe.named, *recipe.hold):
        directions.index(name)
    latent = space.encode(portrait.face.pixels[None])
    reconstruction = space.decode(latent)
    models = (space, directions, recogniser)
    amounts, present = wanted_amounts(latent, reconstruction, models, recipe)
    full = recipe.with_distances(latent, directions, amounts)
    amounts = {name: float(np.ravel(amount)[0]) for name, amount in full.items()}
    edited = space.decode(edit(latent, directions, amounts, recipe.hold, layers=recipe.layers))
    photo = paste(portrait.photo, portrait.face, edited[0], reconstruction[0])
    return EditedPhoto(photo, edited[0], reconstruction[0], latent, amounts, present)


def wanted_amounts(
    latent: Latent,
    reconstruction: np.ndarray,
    models: tuple[Space, Directions, Recognises],
    recipe: Recipe,
) -> tuple[dict[str, float], dict[str, float]]:
    """attribute -> amount that the recipe's `set` and `move` ask of one face, and its presences.

    reconstruction: float32 [1, 3, S, S], the latent decoded. See `edit_photo`.
    """
    recogniser = models[2]
    probabilities = recogniser.probabilities(reconstruction)[0]
    present = {n: float(p) for n, p in zip(recogniser.names, probabilities, strict=True)}
    return _needed(latent, models, recipe, recipe.amounts(present)), present


def _needed(
    latent: Latent,
    models: tuple[Space, Directions, Recognises],
    recipe: Recipe,
    amounts: Mapping[str, float],
) -> dict[str, float]:
    """The amounts, those of `recipe.set` times the smallest share that shows what is wanted."""
    if not recipe.set:
        return dict(amounts)
    space, directions, recogniser = models
    scaled = {n: a * (SHARES if n in recipe.set else 1.0) for n, a in amounts.items()}
    repeated = latent.with_values(np.repeat(latent.values, len(SHARES), axis=0))
    tried = {n: np.broadcast_to(a, SHARES.shape) for n, a in scaled.items()}
    faces = space.decode(edit(repeated, directions, tried, recipe.hold, layers=recipe.layers))
    columns = [recogniser.names.index(name) for name in recipe.set]
    gaps = recogniser.probabilities(faces)[:, columns] - np.array(list(recipe.set.values()))
    shown = np.flatnonzero((np.abs(gaps) <= NEAR).all(axis=1))
    share = int(shown[0]) if len(shown) else -1
    return {name: float(values[share]) for name, values in tried.items()}


def edit_strip(
    edited: EditedPhoto,
    space: Space,
    directions: Directions,
    factors: Sequence[float],
    hold: Sequence[str] = (),
    layers: str = "all",
) -> np.ndarray:
    """Faces float32 [len(factors), 3, S, S]: the edit times each factor, -1 being its opposite."""
    repeated = edited.latent.with_values(np.repeat(edited.latent.values, len(factors), axis=0))
    amounts = {name: amount * np.asarray(factors) for name, amount in edited.amounts.items()}
    return space.decode(edit(repeated, directions, amounts, hold, layers=layers))

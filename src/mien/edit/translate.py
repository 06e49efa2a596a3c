"""A face to another by a translator: what it has is read, what is asked for is set, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mien.errors import BadInput, UnknownName
from mien.faces.paste import paste

if TYPE_CHECKING:  # importing torch costs seconds; whoever calls has opened them already
    import torch

    from mien.directions.contract import Recognises
    from mien.faces.portrait import Portrait
    from mien.generators._labels import Part
    from mien.generators.contract import Translator


@dataclass(frozen=True)
class Wish:
    """What a face is translated to."""

    to: Mapping[str, float] = field(default_factory=dict)  # attribute -> presence, 0 or 1
    strength: float = 1.0  # share of the translation in the picture, in [0, 1]

    def __post_init__(self) -> None:
        if not self.to:
            raise BadInput("nothing to translate to; give --to NAME or --to NAME=0")
        for name, presence in self.to.items():
            if presence not in (0, 1):
                raise BadInput(f"--to {name}={presence:g}: a target is 0 (absent) or 1 (present)")
        check_strength(self.strength)


def check_strength(strength: float) -> None:
    """BadInput for a share of a translation that is none."""
    if not 0 <= strength <= 1:
        raise BadInput(f"--strength {strength:g}: a strength lies in [0, 1]")


@dataclass(frozen=True)
class Translated:
    """A translated face float32 [3, S, S] in [-1, 1], and its photo uint8 [H, W, 3] with it."""

    face: np.ndarray
    photo: np.ndarray


def part_for(translator: Translator, names: Iterable[str]) -> int:
    """Which part of a translator's vocabulary knows all the names.

    Raises UnknownName, listing what it knows, for a name that no part knows, and BadInput
    for names of different parts, which no data set held together.
    """
    wanted = list(names)
    for name in wanted:
        if name not in translator.names:
            raise UnknownName(f"attribute of {translator.card['name']}", name, translator.names)
    for number, part in enumerate(translator.vocabulary.parts):
        if set(wanted) <= set(part.names):
            return number
    raise BadInput(
        f"{' and '.join(wanted)} were learned from different data sets; "
        "translate to one first, then its result to the other"
    )


def check_wish(translator: Translator, wanted: Mapping[str, float]) -> int:
    """Which part of a translator's vocabulary can do all that is wanted.

    Raises as `part_for` does, and BadInput where two names that exclude each other are wanted.
    """
    import torch

    number = part_for(translator, wanted)
    part = translator.vocabulary.parts[number]
    part.asked(torch.full((1, len(part.names)), 0.5), wanted)
    return number


def rivals_of(translator: Translator, name: str) -> tuple[str, ...]:
    """The names that cannot be asked for together with this one."""
    rivals = []
    for other in translator.names:
        try:
            check_wish(translator, {name: 1.0, other: 1.0})
        except BadInput:
            rivals.append(other)
    return tuple(rivals)


def translate_faces(
    faces: np.ndarray, translator: Translator, recogniser: Recognises, wish: Wish
) -> np.ndarray:
    """Faces float32 [N, 3, S, S] in [-1, 1] translated; attributes not named stay as recognised.

    Raises as `check_wish` does.
    """
    import torch

    number = check_wish(translator, wish.to)
    part = translator.vocabulary.parts[number]
    wanted = part.asked(torch.full((len(faces), len(part.names)), 0.5), wish.to)
    if part.kind == "binary":
        wanted = part.asked(_recognised(faces, part, recogniser), wish.to)
    made = translator.translate(faces, wanted.numpy(), number)
    return np.asarray(faces + wish.strength * (made - faces), np.float32)


def translate_to_each(
    face: np.ndarray, translator: Translator, recogniser: Recognises, strength: float = 1.0
) -> tuple[list[str], np.ndarray]:
    """(names [W], faces [W, 3, S, S]): one face [3, S, S] under every name the translator knows.

    A hair colour takes the place of the others, a class that of another; any other name is
    turned to what the recogniser does not see. Raises BadInput for a strength outside [0, 1].
    """
    check_strength(strength)
    names, made = [], []
    for number, part in enumerate(translator.vocabulary.parts):
        for name, target in zip(
            part.names, part.targets(_recognised(face[None], part, recogniser)), strict=True
        ):
            [drawn] = translator.translate(face[None], target.numpy(), number)
            names.append(name)
            made.append(face + strength * (drawn - face))
    return names, np.stack(made).astype(np.float32)


def translate_portrait(
    portrait: Portrait, translator: Translator, recogniser: Recognises, wish: Wish
) -> Translated:
    """The face of a portrait translated and put back into its photo.

    The photo keeps its own detail: all of it under a soft translator, else where little changed.
    """
    pixels = portrait.face.pixels
    face = translate_faces(pixels[None], translator, recogniser, wish)[0]
    photo = paste(portrait.photo, portrait.face, face, pixels, translator.soft)
    return Translated(face, photo)


def _recognised(faces: np.ndarray, part: Part, recogniser: Recognises) -> torch.Tensor:
    """Labels [N, c] of a part as seen; 0.5, unknown, where the recogniser knows no such name."""
    import torch

    labels = torch.full((len(faces), len(part.names)), 0.5)
    probabilities = recogniser.probabilities(faces)
    for column, name in enumerate(part.names):
        if name in recogniser.names:
            seen = probabilities[:, recogniser.names.index(name)] > 0.5
            labels[:, column] = torch.from_numpy(seen.astype(np.float32))
    return labels

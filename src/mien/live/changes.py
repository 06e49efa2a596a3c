"""What changes a face in a running picture: a translator, or a space with an edit.

Anything with the two methods of `Changes` fits the loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mien.directions import edit
from mien.edit.photo import wanted_amounts
from mien.edit.recipe import Recipe
from mien.edit.translate import Wish, check_wish, rivals_of, translate_faces
from mien.live.keys import Targets
from mien.types import Directions

if TYPE_CHECKING:  # importing torch costs seconds; whoever calls has opened them already
    from mien.directions.contract import Recognises
    from mien.generators.contract import Space, Translator

PEOPLE = 32  # whose attributes are remembered; who was followed longest ago is forgotten first


class Changes(Protocol):
    """Takes a face and gives a face."""

    @property
    def size(self) -> int:
        """Pixels of a face's side."""
        ...

    @property
    def frame(self) -> str:
        """How it is aligned: "celeba" or "ffhq"."""
        ...

    @property
    def soft(self) -> bool:
        """Changes have no detail of their own, so that frames keep all of theirs."""
        ...

    def targets(self, wish: Mapping[str, float]) -> Targets:
        """What keys can turn on and off, given what is on at first."""
        ...

    def change(
        self, face: np.ndarray, wish: Mapping[str, float], person: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """(the face changed, the face as the model sees it unchanged), float32 [1, 3, S, S].

        face: float32 [1, 3, S, S] in [-1, 1]. wish: what is on, one target or more.
        person: a number that stays as long as a face is followed.
        """
        ...


@dataclass(frozen=True)
class _Held:
    """A recogniser that remembers what it saw in one face."""

    names: tuple[str, ...]
    seen: np.ndarray  # [1, M]

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """What it saw, whatever the faces."""
        return np.repeat(self.seen, len(faces), axis=0)


class _Memory:
    """The recogniser's view of each person, read once."""

    def __init__(self, recogniser: Recognises) -> None:
        self._recogniser = recogniser
        self._people: dict[int, _Held] = {}

    def of(self, person: int, face: np.ndarray) -> _Held:
        if person not in self._people:
            while len(self._people) >= PEOPLE:
                del self._people[next(iter(self._people))]
            seen = self._recogniser.probabilities(face)
            self._people[person] = _Held(tuple(self._recogniser.names), seen)
        return self._people[person]


class Translates:
    """A translator: attributes that are not wished for stay as they were first recognised."""

    def __init__(
        self, translator: Translator, recogniser: Recognises, strength: float = 1.0
    ) -> None:
        """strength: share of the translation in the picture, in [0, 1]."""
        self.translator, self.strength = translator, strength
        self.size, self.frame, self.soft = translator.size, translator.frame, translator.soft
        self._memory = _Memory(recogniser)

    def targets(self, wish: Mapping[str, float]) -> Targets:
        """All its names, those wished for first. Raises as `check_wish` does."""
        check_wish(self.translator, wish)
        rest = {name: 1.0 for name in self.translator.names if name not in wish}
        return Targets({**wish, **rest}, lambda name: rivals_of(self.translator, name))

    def change(
        self, face: np.ndarray, wish: Mapping[str, float], person: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The face translated, and the face."""
        held = self._memory.of(person, face)
        made = translate_faces(face, self.translator, held, Wish(wish, self.strength))
        return made, face


class Edits:
    """A space with an edit: presences become amounts when a person is first seen."""

    def __init__(
        self, space: Space, directions: Directions, recogniser: Recognises, recipe: Recipe
    ) -> None:
        """recipe: `set` and `move` are the targets, `hold` and `layers` go for all of them."""
        self.space, self.directions, self.recipe = space, directions, recipe
        self.size, self.frame, self.soft = space.size, space.frame, False
        self._recogniser = recogniser
        self._amounts: dict[tuple[int, tuple[str, ...]], Mapping[str, float]] = {}

    def targets(self, wish: Mapping[str, float]) -> Targets:
        """What the recipe sets and moves. Raises UnknownName for a name without a direction."""
        for name in (*wish, *self.recipe.hold):
            self.directions.index(name)
        return Targets(dict(wish))

    def change(
        self, face: np.ndarray, wish: Mapping[str, float], person: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The face decoded with the edit, and without."""
        latent = self.space.encode(face)
        before = self.space.decode(latent)
        key = (person, tuple(wish))
        if key not in self._amounts:
            while len(self._amounts) >= PEOPLE:
                del self._amounts[next(iter(self._amounts))]
            models = (self.space, self.directions, self._recogniser)
            now = self._recipe(wish)
            self._amounts[key], _ = wanted_amounts(latent, before, models, now)
        hold, layers = self.recipe.hold, self.recipe.layers
        moved = edit(latent, self.directions, self._amounts[key], hold, layers=layers)
        return self.space.decode(moved), before

    def _recipe(self, wish: Mapping[str, float]) -> Recipe:
        """The recipe with only what is on."""
        full = self.recipe
        return Recipe(
            full.space, full.directions, {n: a for n, a in full.set.items() if n in wish},
            {n: a for n, a in full.move.items() if n in wish}, full.hold, layers=full.layers,
        )  # fmt: skip

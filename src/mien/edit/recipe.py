"""A recipe: an edit as a few plain values that can be saved, sent and put into a link."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from mien.directions import amounts_to, check_layers, edit
from mien.edit.presence import amounts_for, check_presence
from mien.errors import BadInput, UnknownName
from mien.types import Directions, Latent

VERSION = 1
LARGEST = 1e6  # units of a movement; far beyond any use, and no overflow
LATER: dict[str, Any] = {"to": {}, "layers": "all"}  # keys left out where they say nothing


@dataclass(frozen=True)
class Recipe:
    """What an edit does, without the face: the state that travels.

    space, directions: names or marks of the models. set: attribute -> wanted
    presence in [0, 1]. move: attribute -> amount in calibrated units, any sign, relative
    to the face. to: attribute -> signed distance from its hyperplane at which every
    face ends, in latent length. hold: attributes to be left as they are. layers: rows of a
    latent [L, D] that may change, as in "0-3,5". Raises BadInput when an attribute
    appears twice or a value is out of range.
    """

    space: str
    directions: str
    set: Mapping[str, float] = field(default_factory=dict)
    move: Mapping[str, float] = field(default_factory=dict)
    hold: tuple[str, ...] = ()
    to: Mapping[str, float] = field(default_factory=dict)
    layers: str = "all"

    def __post_init__(self) -> None:
        for name, presence in self.set.items():
            check_presence(name, presence)
        for name, amount in self.move.items():
            if not _is_number(amount) or not abs(amount) <= LARGEST:
                raise BadInput(f"{name} is moved by {amount!r}, expected a number of units")
        for name, distance in self.to.items():
            if not _is_number(distance) or not abs(distance) <= LARGEST:
                raise BadInput(f"{name} is moved to {distance!r}, expected a distance")
        check_layers(self.layers)
        named = [*self.named, *self.hold]
        for name in named:
            if named.count(name) > 1:
                raise BadInput(f"{name} appears twice in set, move, to and hold; name it once")

    @property
    def named(self) -> tuple[str, ...]:
        """The attributes that change."""
        return (*self.set, *self.move, *self.to)

    def amounts(self, present: Mapping[str, float]) -> dict[str, float]:
        """attribute -> relative amount, given a recogniser's probabilities of the face."""
        return amounts_for(self.set, present) | dict(self.move)

    def with_distances(
        self, latent: Latent, directions: Directions, amounts: Mapping[str, float]
    ) -> dict[str, Any]:
        """Relative amounts and, on top of them, the amounts [N] that end at the distances `to`."""
        if not self.to:
            return dict(amounts)
        before = edit(latent, directions, amounts, self.hold, limit=False, layers=self.layers)
        last = amounts_to(before, directions, self.to, self.hold, self.layers)
        return {**amounts, **last}

    def to_json(self) -> str:
        """One line of JSON; equal recipes give equal text, older ones the text they had."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        plain = {"version": VERSION, **values, "hold": list(self.hold)}
        kept = {k: v for k, v in plain.items() if k not in LATER or v != LATER[k]}
        return json.dumps(kept, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Recipe:
        """The recipe of a JSON text.

        Raises BadInput for text that is no recipe or of another version,
        UnknownName for a key that no recipe has.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"the recipe is not JSON ({error}); give the text of one") from error
        return cls(**_checked(values))


def _checked(values: Any) -> dict[str, Any]:
    """The fields of a recipe from parsed JSON, or one sentence on what is wrong."""
    if not isinstance(values, dict):
        raise BadInput('the recipe is not a JSON object; expected {"version": 1, ...}')
    version = values.pop("version", None)
    if isinstance(version, bool) or version != VERSION:
        raise BadInput(f"the recipe has version {version!r}, this mien reads version {VERSION}")
    known = [item.name for item in fields(Recipe)]
    for key in values:
        if key not in known:
            raise UnknownName("recipe key", key, known)
    for key in ("space", "directions"):
        if not isinstance(values.get(key), str):
            raise BadInput(f"the recipe has no {key}; add its name as a string")
    for key in ("set", "move", "to"):
        if not isinstance(values.get(key, {}), dict):
            raise BadInput(f"{key} of the recipe is not an object of attribute and number")
    hold = values.get("hold", [])
    if not isinstance(hold, list) or not all(isinstance(name, str) for name in hold):
        raise BadInput("hold of the recipe is not a list of attribute names")
    if not isinstance(values.get("layers", "all"), str):
        raise BadInput('layers of the recipe are not a text as "0-3,5"')
    return {**values, "hold": tuple(hold)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

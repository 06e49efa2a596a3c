"""Finders named on the command line, and directions found while one waits."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from mien.cli import options
from mien.errors import BadInput

if TYPE_CHECKING:
    from types import ModuleType

    from mien.generators.contract import Space
    from mien.types import Directions

FORM = "METHOD[:FIELD=VALUE...]"


@dataclass(frozen=True)
class Named:
    """A finder and its options, as one text names them."""

    text: str
    part: ModuleType
    options: Any

    def with_layers(self, layers: str) -> Named:
        """The same finder told which layers to work on, where it asks and was not told."""
        own = {field.name: field.default for field in fields(self.options)}
        if "layers" not in own or self.options.layers != own["layers"]:
            return self
        return replace(self, options=replace(self.options, layers=layers))

    def with_components(self, count: int) -> Named:
        """The same finder told to keep at least `count` components, where it numbers them."""
        if getattr(self.options, "components", count) >= count:
            return self
        return replace(self, options=replace(self.options, components=count))


def named(text: str, option: str = "--method") -> Named:
    """The finder that a text such as "sefa" or "sefa:layers=0-3:order=published" names.

    Raises UnknownName for another method or field, BadInput for a value of
    another type.
    """
    from mien.rooms import open_part

    method, *pairs = text.split(":")
    part = open_part("directions", method)
    return Named(text, part, options.filled(part.Options, pairs, f"{option} {method}:"))


def found_now(finder: Named, space: Space) -> Directions:
    """Directions that need no labels, from the space's weights or samples.

    Raises BadInput for a finder that needs labelled faces.
    """
    from mien.directions.contract import needs_labels, unlabelled

    if needs_labels(finder.part):
        raise BadInput(
            f"{finder.text} needs labelled faces; fit it with mien directions fit, "
            "then give --directions FOLDER"
        )
    latent = space.sample(finder.part.SAMPLES)
    found: Directions = finder.part.find(unlabelled(latent, space), finder.options)
    return found

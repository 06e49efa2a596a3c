"""One file a model; `open_space` opens one by name or folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mien.checkpoint import CARD, find_model, load_card
from mien.errors import BadModel
from mien.rooms import open_part

if TYPE_CHECKING:
    from mien.generators.contract import Space


ENCODER = "encoder"  # folder, inside a generator's, of the encoder that reads photos for it


def open_space(name_or_folder: str | Path = "vae-128") -> Space:
    """The latent space of an embedded model by name, or of a model folder.

    Raises UnknownName for an unknown model and BadModel for a damaged one or
    one that is not a space.
    """
    folder = find_model(name_or_folder)
    card = load_card(folder)
    if card["kind"] != "space":
        raise BadModel(f"{name_or_folder} is a {card['kind']}, not a latent space")
    space = open_part("generators", card["architecture"]).open_space(folder)
    if (folder / ENCODER / CARD).is_file():
        encoder = load_card(folder / ENCODER)
        part = open_part("encoders", encoder["architecture"])
        space.inverter = part.open_inverter(folder / ENCODER, space.network.average)
    opened: Space = space
    return opened

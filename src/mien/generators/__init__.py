"""One file a model; `open_space` and `open_translator` open one by name or folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mien.checkpoint import CARD, find_model, load_card, mark
from mien.errors import BadModel
from mien.rooms import open_part

if TYPE_CHECKING:
    from mien.generators.contract import Space, Translator


ENCODER = "encoder"  # folder, inside a generator's, of the encoder that reads photos for it


def open_space(name_or_folder: str | Path = "vae-128") -> Space:
    """The latent space of an embedded model by name, or of a model folder.

    A generator's own encoder is opened with it; an encoder's folder opens the
    generator that it was trained for, with that encoder. Raises UnknownName for an
    unknown model and BadModel for a damaged one, one that is not a space, or an
    encoder whose generator has changed.
    """
    folder = find_model(name_or_folder)
    card = load_card(folder)
    if card["kind"] == "encoder":
        return _inverted(folder, find_model(card["generator"]))
    if card["kind"] != "space":
        raise BadModel(f"{name_or_folder} is a {card['kind']}, not a latent space")
    encoder = encoder_of(folder)
    if encoder is not None:
        return _inverted(encoder, folder)
    space: Space = open_part("generators", card["architecture"]).open_space(folder)
    return space


def encoder_of(name_or_folder: str | Path) -> Path | None:
    """The folder of the encoder that `open_space` opens with this model; None without one."""
    folder = find_model(name_or_folder)
    if load_card(folder)["kind"] == "encoder":
        return folder
    return folder / ENCODER if (folder / ENCODER / CARD).is_file() else None


def open_translator(name_or_folder: str | Path) -> Translator:
    """A translator by its embedded name or model folder.

    Raises UnknownName for an unknown model and BadModel for a damaged one or one that
    is no translator.
    """
    folder = find_model(name_or_folder)
    card = load_card(folder)
    if card["kind"] != "translator":
        raise BadModel(f"{name_or_folder} is a {card['kind']}, not a translator")
    translator: Translator = open_part("generators", card["architecture"]).open_translator(folder)
    return translator


def _inverted(encoder: Path, generator: Path) -> Space:
    """The generator's space, which reads photos by the encoder."""
    card, wanted = load_card(encoder), load_card(generator)
    if card.get("generator_mark", mark(wanted)) != mark(wanted):
        raise BadModel(
            f"{encoder} was trained for {card['generator_mark']}, but {generator} is "
            f"{mark(wanted)}; train the encoder again"
        )
    space = open_part("generators", wanted["architecture"]).open_space(generator)
    part = open_part("encoders", card["architecture"])
    space.inverter = part.open_inverter(encoder, space.network.average)
    opened: Space = space
    return opened

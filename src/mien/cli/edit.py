"""`mien edit`: change the face in a photo."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien import __version__
from mien.cli import options
from mien.errors import BadInput

if TYPE_CHECKING:
    import numpy as np

    from mien.edit.photo import EditedPhoto
    from mien.edit.recipe import Recipe
    from mien.faces.portrait import Portrait
    from mien.types import Directions

FACTORS = (-1.0, -2 / 3, -1 / 3, 0.0, 1 / 3, 2 / 3, 1.0)  # of a strip

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=PRESENCE",
        help="Wanted presence of an attribute: 0 absent, 1 present. Repeatable.",
        autocompletion=options.complete_pair,
    ),
]
Move = Annotated[
    list[str] | None,
    typer.Option(
        "--move",
        metavar="NAME=AMOUNT",
        help="Move by an amount: 1 takes a face without the attribute to one with it. Repeatable.",
        autocompletion=options.complete_pair,
    ),
]
Hold = Annotated[
    list[str] | None,
    typer.Option(
        "--hold",
        metavar="NAME",
        help="Keep this attribute as it is. Repeatable.",
        autocompletion=options.complete_name,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("-o", "--out", help="PNG or JPEG to write; PHOTO-edited.png if left out."),
]
Strip = Annotated[
    bool, typer.Option("--strip", help="Write a row of faces from -1 to 1 times the edit.")
]
Crop = Annotated[bool, typer.Option("--crop", help="Write the aligned face only, not the photo.")]
Found = Annotated[
    str, typer.Option("--directions", metavar="MODEL", help="Directions to edit with.")
]


def edit(
    photo: options.Photo,
    wanted: Set = None,
    moves: Move = None,
    hold: Hold = None,
    out: Out = None,
    strip: Strip = False,
    crop: Crop = False,
    number: options.Number = 1,
    aligned: options.Aligned = False,
    space: options.Model = options.SPACE,
    directions: Found = options.DIRECTIONS,
) -> None:
    """Edit the face in PHOTO by attribute and put it back at full resolution.

    Example: mien edit me.jpg --set Smiling=1 --set Eyeglasses=0 --hold Male -o out.png
    """
    from mien.checkpoint import find_model, load_card
    from mien.edit.recipe import Recipe
    from mien.provenance.mark import save_picture

    recipe = Recipe(
        space, directions, options.presences(wanted or [], "--set"),
        options.numbers(moves or [], "--move"), tuple(hold or ()),
    )  # fmt: skip
    out = out or Path(f"{photo.stem}-edited.png")
    options.check_picture(out, "-o", photo)
    found = _directions(recipe)
    portrait = options.portrait_of(photo, load_card(find_model(space)), number, aligned)
    edited, strip_of = _run(recipe, portrait, found)
    pixels = strip_of() if strip else row(edited.face[None]) if crop else edited.photo
    save_picture(out, pixels, note_of(recipe, edited))
    amounts = ", ".join(f"{name} {amount:+.2f}" for name, amount in edited.amounts.items())
    typer.echo(f"{out}: {amounts}")


def _directions(recipe: Recipe) -> Directions:
    """The directions of a recipe that names something to change, each name known."""
    from mien.directions import open_directions

    if not recipe.set and not recipe.move:
        raise BadInput("nothing to change; give --set NAME=PRESENCE or --move NAME=AMOUNT")
    found = open_directions(recipe.directions)
    options.check_names(recipe.set, found.names, "--set")
    options.check_names(recipe.move, found.names, "--move")
    options.check_names(recipe.hold, found.names, "--hold")
    return found


def _run(
    recipe: Recipe, portrait: Portrait, found: Directions
) -> tuple[EditedPhoto, Callable[[], np.ndarray]]:
    """The edit, and a function that draws its strip; importing torch begins here."""
    from mien.edit.photo import edit_photo, edit_strip
    from mien.generators import open_space
    from mien.recognise.recogniser import open_recogniser

    space = open_space(recipe.space)
    edited = edit_photo(portrait, space, found, open_recogniser(), recipe)
    return edited, lambda: row(edit_strip(edited, space, found, FACTORS, recipe.hold))


def note_of(recipe: Recipe, edited: EditedPhoto) -> dict[str, Any]:
    """What an edited picture says about itself: the recipe, the model, the amounts."""
    return {
        "mien": __version__,
        "recipe": json.loads(recipe.to_json()),
        "model": edited.latent.model,
        "amounts": {name: round(amount, 6) for name, amount in edited.amounts.items()},
    }


def row(faces: np.ndarray) -> np.ndarray:
    """Faces float32 [N, 3, S, S] side by side: uint8 [S, N*S, 3]."""
    import numpy as np

    from mien.faces.cache import to_bytes

    return np.concatenate(list(to_bytes(faces)), axis=1)

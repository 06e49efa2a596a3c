"""`mien edit`: change the face in a photo, or faces drawn from a space."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli import finders, options, pictures
from mien.cli.pictures import row
from mien.errors import BadInput

if TYPE_CHECKING:
    from mien.edit.photo import EditedPhoto
    from mien.edit.recipe import Recipe
    from mien.generators.contract import Space
    from mien.types import Directions

__all__ = ["edit", "note_of", "row"]

FACTORS = (-1.0, -2 / 3, -1 / 3, 0.0, 1 / 3, 2 / 3, 1.0)  # of a strip

Photo = Annotated[
    Path | None,
    typer.Argument(help="A photo with a face in it; without one, faces are drawn from the space."),
]

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
To = Annotated[
    list[str] | None,
    typer.Option(
        "--to",
        metavar="NAME=DISTANCE",
        help="End at this signed distance from the attribute's hyperplane. Repeatable.",
        autocompletion=options.complete_pair,
    ),
]
Layers = Annotated[
    str, typer.Option("--layers", help="Rows of a layered latent that may change: 0-3,5.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "-o", "--out", help="PNG, JPEG, or GIF and MP4 for an animation; PHOTO-edited.png."
    ),
]
Strip = Annotated[
    bool, typer.Option("--strip", help="Write a row of faces from -1 to 1 times the edit.")
]
Crop = Annotated[bool, typer.Option("--crop", help="Write the aligned face only, not the photo.")]
Found = Annotated[
    str | None,
    typer.Option(
        "--directions", metavar="MODEL", help="Directions to edit with; else the space's own."
    ),
]
Method = Annotated[
    str | None,
    typer.Option(
        "--method", metavar=finders.FORM, help="Find directions now, without labels: sefa, pca."
    ),
]
Component = Annotated[
    int | None, typer.Option("--component", min=0, metavar="N", help="Component of the method.")
]
Amount = Annotated[float, typer.Option("--amount", help="Amount that the component is moved by.")]
Seed = Annotated[
    int,
    typer.Option(
        "--seed", min=0, max=options.SEEDS, help="Without a photo: which faces are drawn."
    ),
]
Count = Annotated[
    int,
    typer.Option("-n", "--count", min=1, max=options.MOST, help="Without a photo: how many."),
]
Truncation = Annotated[
    float, typer.Option("--truncation", help="Without a photo: distance from the average face.")
]


@dataclass(frozen=True)
class Asked:
    """What is edited, with what, and where it goes."""

    recipe: Recipe
    method: finders.Named | None
    out: Path
    strip: bool = False
    crop: bool = False


def edit(
    photo: Photo = None,
    wanted: Set = None,
    moves: Move = None,
    to: To = None,
    hold: Hold = None,
    layers: Layers = "all",
    out: Out = None,
    strip: Strip = False,
    crop: Crop = False,
    number: options.Number = 1,
    aligned: options.Aligned = False,
    space: options.Model = options.SPACE,
    directions: Found = None,
    method: Method = None,
    component: Component = None,
    amount: Amount = 3.0,
    seed: Seed = 0,
    count: Count = 4,
    truncation: Truncation = 1.0,
) -> None:
    """Edit the face in PHOTO by attribute and put it back at full resolution.

    Example: mien edit me.jpg --set Smiling=1 --set Eyeglasses=0 --hold Male -o out.png.
    Without PHOTO: mien edit --seed 3 --space NAME --method sefa --component 3 --layers 0-3
    """
    finder = _finder(method, component, layers)
    named = options.own(space, directions) if finder is None else finder.text
    recipe = _recipe((space, named), layers, {
        "set": options.presences(wanted or [], "--set"),
        "move": options.numbers(moves or [], "--move") | _moved(component, amount, finder),
        "to": options.numbers(to or [], "--to"), "hold": tuple(hold or ()),
    })  # fmt: skip
    out = out or Path("edited.png" if photo is None else f"{photo.stem}-edited.png")
    options.check_picture(out, "-o", photo, kinds=pictures.KINDS)
    asked = Asked(recipe, finder, out, strip, crop)
    if photo is None:
        _edit_samples(asked, count, seed, truncation)
    else:
        _edit_photo(asked, photo, number, aligned)


def _recipe(models: tuple[str, str], layers: str, changes: dict[str, Any]) -> Recipe:
    from mien.edit.recipe import Recipe

    return Recipe(*models, layers=layers, **changes)


def _finder(method: str | None, component: int | None, layers: str) -> finders.Named | None:
    """The finder asked for, told the edit's layers and component."""
    if method is None:
        if component is not None:
            raise BadInput("--component needs --method, such as --method sefa; give both")
        return None
    return finders.named(method).with_layers(layers).with_components((component or 0) + 1)


def _moved(component: int | None, amount: float, finder: finders.Named | None) -> dict[str, float]:
    return {} if component is None or finder is None else {f"component_{component}": amount}


def _edit_photo(asked: Asked, photo: Path, number: int, aligned: bool) -> None:
    from mien.checkpoint import space_card
    from mien.provenance.mark import save_picture

    found = None if asked.method else directions_of(asked.recipe)
    card = space_card(asked.recipe.space)
    portrait = options.portrait_of(photo, card, number, aligned)

    from mien.edit.photo import edit_photo, edit_strip  # torch begins here
    from mien.generators import open_space
    from mien.recognise.any_size import AnySize
    from mien.recognise.recogniser import open_recogniser

    space = open_space(asked.recipe.space)
    found = found or _found_now(asked, space)
    edited = edit_photo(portrait, space, found, AnySize(open_recogniser()), asked.recipe)
    note = note_of(asked.recipe, edited) | _method_note(asked, found)
    note |= pictures.weights_of(space.card)
    recipe = asked.recipe
    if asked.strip or pictures.is_animation(asked.out):
        factors = _factors(asked.out)
        faces = edit_strip(edited, space, found, factors, recipe.hold, recipe.layers)
        pictures.save_strips(asked.out, faces[None], note)
    else:
        save_picture(asked.out, row(edited.face[None]) if asked.crop else edited.photo, note)
    amounts = ", ".join(f"{name} {amount:+.2f}" for name, amount in edited.amounts.items())
    typer.echo(f"{asked.out}: {amounts}")


def _edit_samples(asked: Asked, count: int, seed: int, truncation: float) -> None:
    """Strips of sampled faces, one row each, from -1 to 1 times the edit."""
    recipe = asked.recipe
    if recipe.set:
        raise BadInput("--set needs a photo to read presences from; move samples by --move or --to")
    options.check_truncation(truncation)
    found = None if asked.method else directions_of(recipe)

    from mien.edit.strip import strips
    from mien.generators import open_space

    space = open_space(recipe.space)
    found = found or _found_now(asked, space)
    latent = space.sample(count, seed, truncation)
    amounts = recipe.with_distances(latent, found, recipe.move)
    faces = strips(space, latent, found, (amounts, recipe), _factors(asked.out))
    drawn = {"seed": seed, "count": count, "truncation": truncation}
    note = pictures.stamp(latent.model) | {"recipe": json.loads(recipe.to_json())}
    note |= {"sample": drawn} | _method_note(asked, found) | pictures.weights_of(space.card)
    pictures.save_strips(asked.out, faces, note, generated=True)
    names = ", ".join(recipe.named)
    typer.echo(f"{asked.out}: {names} of {count} faces of {latent.model}, seed {seed}")


def _factors(out: Path) -> Sequence[float]:
    if not pictures.is_animation(out):
        return FACTORS
    last = pictures.FRAMES
    return [2 * step / last - 1 for step in range(last + 1)]


def directions_of(recipe: Recipe) -> Directions:
    """The directions of a recipe that names something to change, each name known."""
    from mien.directions import open_directions

    _check_something(recipe)
    return _checked(open_directions(recipe.directions), recipe)


def _found_now(asked: Asked, space: Space) -> Directions:
    assert asked.method is not None  # callers ask only where there is one
    _check_something(asked.recipe)
    return _checked(finders.found_now(asked.method, space), asked.recipe)


def _check_something(recipe: Recipe) -> None:
    if not recipe.named:
        raise BadInput(
            "nothing to change; give --set NAME=PRESENCE, --move NAME=AMOUNT, "
            "or --method sefa --component 0"
        )


def _checked(found: Directions, recipe: Recipe) -> Directions:
    for names, option in (
        (recipe.set, "--set"), (recipe.move, "--move"), (recipe.to, "--to"),
        (recipe.hold, "--hold"),
    ):  # fmt: skip
        options.check_names(names, found.names, option)
    return found


def note_of(recipe: Recipe, edited: EditedPhoto) -> dict[str, Any]:
    """What an edited picture says about itself: the recipe, the model, the amounts."""
    return pictures.stamp(edited.latent.model) | {
        "recipe": json.loads(recipe.to_json()),
        "amounts": {name: round(amount, 6) for name, amount in edited.amounts.items()},
    }


def _method_note(asked: Asked, found: Directions) -> dict[str, Any]:
    """How directions came about that are stored nowhere."""
    if asked.method is None:
        return {}
    return {"method": {key: found.provenance[key] for key in ("method", "options")}}

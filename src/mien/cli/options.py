"""What options share: NAME=VALUE pairs, their checks, completion of attribute names."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import typer

from mien.errors import BadInput, UnknownName

if TYPE_CHECKING:
    from mien.faces.portrait import Portrait

Options = TypeVar("Options")
PICTURES = (".png", ".jpg", ".jpeg")
ANIMATIONS = (".gif", ".mp4")
SPACE, DIRECTIONS, BASIS = "vae-128", "vae-128-directions", "vae-128-basis"  # embedded
TRANSLATOR = "stargan-128"  # embedded
MOST = 1000  # faces drawn for one picture or film
FACES = 1_000_000  # drawn for a gallery, whose ids have six digits, or to fit directions to
STEPS = 100_000  # of a descent for one photo; the longest published takes 5,000
SEEDS = 2**63 - 1  # what every generator of random numbers takes
TRUNCATION = 100.0  # far more than any face survives

Photo = Annotated[Path, typer.Argument(help="A photo with a face in it.", show_default=False)]
Number = Annotated[
    int, typer.Option("--face", min=1, metavar="N", help="Which face, 1 being the largest.")
]
Aligned = Annotated[bool, typer.Option("--aligned", help="The photo is an aligned face already.")]
Model = Annotated[str, typer.Option("--space", metavar="MODEL", help="Latent space.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=SEEDS, help="Which faces are drawn.")]
Data = Annotated[Path, typer.Argument(help="CelebA in its official layout.", show_default=False)]


def numbers(pairs: Sequence[str], option: str) -> dict[str, float]:
    """{name: number} of NAME=NUMBER pairs.

    Raises BadInput, naming the option, for a missing or repeated name and for
    a value that is no finite number.
    """
    return {name: _number(name, text, option) for name, text in texts(pairs, option).items()}


def presences(pairs: Sequence[str], option: str) -> dict[str, float]:
    """{attribute: presence} of NAME=PRESENCE pairs, each in [0, 1]."""
    wanted = numbers(pairs, option)
    for name, value in wanted.items():
        if not 0 <= value <= 1:
            raise BadInput(
                f"{option} {name}={value:g}: a presence lies in [0, 1], "
                "where 0 is absent and 1 is present"
            )
    return wanted


def preferences(pairs: Sequence[str], option: str) -> dict[str, float]:
    """{attribute: weight} of NAME=WEIGHT pairs, each 0 or more."""
    weights = numbers(pairs, option)
    for name, value in weights.items():
        if value < 0:
            raise BadInput(
                f"{option} {name}={value:g}: a preference is 0 or more, "
                "where 0 is 'do not care' and 1 is the default"
            )
    return weights


def texts(pairs: Sequence[str], option: str) -> dict[str, str]:
    """{name: text} of NAME=TEXT pairs; BadInput for a missing '=' or a repeated name."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not (name and equals and text):
            raise BadInput(f"{option} {pair}: write it as {option} NAME=VALUE")
        if name in found:
            raise BadInput(f"{option} {name} is given twice; give it once")
        found[name] = text
    return found


def check_names(names: Iterable[str], known: Sequence[str], option: str) -> None:
    """Raise UnknownName, naming the option and the nearest names, unless all are known."""
    for name in names:
        if name not in known:
            raise UnknownName(f"attribute in {option}:", name, known)


def check_picture(
    path: Path, option: str, source: Path | None = None, kinds: Sequence[str] = PICTURES
) -> None:
    """Raise BadInput unless `path` can become a new file of one of `kinds`, other than `source`."""
    if path.suffix.lower() not in kinds:
        raise BadInput(f"{option} {path}: the name must end in {', '.join(kinds)}")
    if not path.parent.is_dir():
        raise BadInput(f"{option} {path}: the folder {path.parent} does not exist; make it first")
    if path.is_dir():
        raise BadInput(f"{option} {path}: this is a folder; give the name of a file")
    if source is not None and path.exists() and source.exists() and path.samefile(source):
        raise BadInput(f"{option} {path}: this is the photo itself; choose another name")


def check_truncation(truncation: float) -> None:
    """Raise BadInput unless samples can be drawn at this distance from the average face."""
    if not abs(truncation) <= TRUNCATION:  # nan, too, is refused
        raise BadInput(
            f"--truncation {truncation:g}: give a number from {-TRUNCATION:g} to {TRUNCATION:g}; "
            "0 is the average face, 1 the usual distance from it"
        )


def filled(options: type[Options], pairs: Sequence[str], option: str) -> Options:
    """A dataclass of options with the NAME=VALUE `pairs` in place of its defaults.

    Values are read by the field's type; tuples are separated by commas. Raises
    UnknownName for a field it lacks and BadInput for a value of another type.
    """
    hints = get_type_hints(options)
    names = [field.name for field in fields(options)]  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name, text in texts(pairs, option).items():
        if name not in names:
            raise UnknownName(f"field in {option}:", name, names)
        values[name] = _typed(text, hints[name], f"{option} {name}={text}")
    return options(**values)


def own(space: str, named: str | None, kind: str = "directions") -> str:
    """The directions (or the "basis") asked for by name, or those that come with a space.

    Raises BadInput where none come with it.
    """
    if named is not None:
        return named
    from mien.checkpoint import embedded, mark, space_card

    found = f"{mark(space_card(space)).partition('@')[0]}-{kind}"
    if found not in embedded():
        raise BadInput(
            f"no {kind} come with {space}; fit some with mien directions fit and "
            f"give --{kind} with their folder"
        )
    return found


def portrait_of(photo: Path, card: Mapping[str, Any], number: int, aligned: bool) -> Portrait:
    """The face of a photo in the frame and size that a model's card asks for.

    Says on stderr which face was taken when there are several.
    """
    from mien.faces.portrait import FaceOptions, open_portrait

    wanted = card["input"]
    options = FaceOptions(frame=wanted["frame"], number=number, aligned=aligned)
    portrait = open_portrait(photo, wanted["size"], options)
    if portrait.count > 1:
        taken = f"took number {number}, counted from the largest; choose with --face"
        typer.echo(f"mien: {photo} shows {portrait.count} faces; {taken}", err=True)
    return portrait


def complete_name(incomplete: str) -> list[str]:
    """Attribute names for shell completion of `--hold`."""
    from mien.faces.celeba import NAMES

    return [name for name in NAMES if name.startswith(incomplete)]


def complete_pair(incomplete: str) -> list[str]:
    """Attribute names followed by "=" for shell completion of `--set` and its like."""
    return [f"{name}=" for name in complete_name(incomplete)]


def _number(name: str, text: str, option: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInput(f"{option} {name}={text}: {text!r} is not a number; write {option} {name}=1")
    return value


def _typed(text: str, kind: Any, where: str) -> Any:
    inner = get_args(kind)
    if inner and get_origin(kind) is tuple:
        parts = text.split(",")
        if Ellipsis not in inner and len(parts) != len(inner):
            raise BadInput(f"{where}: give {len(inner)} values separated by commas")
        return tuple(_typed(part, inner[0], where) for part in parts)
    if NoneType in inner:  # an optional value that is given
        [kind] = [member for member in inner if member is not NoneType]
    readers: dict[Any, Callable[[str], Any]] = {int: int, float: float, str: str, bool: _flag}
    chosen = next((reader for known, reader in readers.items() if known is kind), None)
    if chosen is None:
        raise BadInput(f"{where}: this field cannot be set from the command line")
    try:
        return chosen(text)
    except ValueError:
        raise BadInput(f"{where}: {text!r} is not of type {kind.__name__}") from None


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0", "yes", "no"):
        raise ValueError(text)
    return text.lower() in ("true", "1", "yes")

"""`mien translate`: faces in photos by a translator, without a latent in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli import options, output, pictures
from mien.errors import BadInput

if TYPE_CHECKING:
    from mien.edit.translate import Translated, Wish
    from mien.faces.portrait import Portrait

    Job = tuple[Path, Path]  # a photo, and the picture to write

Translator = Annotated[
    str, typer.Option("--model", metavar="MODEL", help="An embedded translator, or a folder.")
]
Strength = Annotated[
    float, typer.Option("--strength", help="Share of the translation in the picture, 0 to 1.")
]
To = Annotated[
    list[str] | None,
    typer.Option(
        "--to", metavar="NAME[=0]", help="Attribute to give, or with =0 to take. Repeatable."
    ),
]
Grid = Annotated[
    bool,
    typer.Option(
        "--grid", help="Write the face and its translation side by side; without --to, each."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("-o", "--out", help="PNG or JPEG; for a folder, a folder. PHOTO-translated.png."),
]


def translate(
    photo: Annotated[Path, typer.Argument(help="A photo with a face in it, or a folder of them.")],
    model: Translator = options.TRANSLATOR,
    to: To = None,
    strength: Strength = 1.0,
    out: Out = None,
    grid: Grid = False,
    crop: Annotated[
        bool, typer.Option("--crop", help="Write the aligned face only, not the photo.")
    ] = False,
    number: options.Number = 1,
    aligned: options.Aligned = False,
) -> None:
    """Translate the face in PHOTO to other attributes and put it back at full resolution.

    Example: mien translate me.jpg --to Blond_Hair --to Young=0 -o out.png.
    Attributes that are not named stay as they are recognised; a hair colour takes the place
    of the others. --grid without --to shows the face under every name the model knows.
    """
    from mien.checkpoint import find_model, load_card
    from mien.edit.translate import Wish, check_strength

    check_strength(strength)
    wish = strength if grid and not to else Wish(pairs(to), strength)
    jobs = _jobs(photo, out)
    card = load_card(find_model(model))
    opened: Any = None
    what = "grid" if grid else "face" if crop else "photo"
    for place, portrait in _portraits(jobs, photo, card, (number, aligned)):
        opened = opened or _opened(model, wish)  # torch begins here
        place.parent.mkdir(parents=True, exist_ok=True)  # no earlier: no refusal leaves a folder
        _write(portrait, place, opened, wish, what)
    if opened is None:
        raise BadInput(f"{photo}: no photo in it could be translated; nothing was written")


def pairs(to: list[str] | None) -> dict[str, float]:
    """{attribute: presence} of NAME or NAME=PRESENCE; presence is 1 where it is left out."""
    full = [pair if "=" in pair else f"{pair}=1" for pair in to or []]
    return options.numbers(full, "--to")


def _jobs(photo: Path, out: Path | None) -> list[Job]:
    """What to translate; BadInput where -o cannot be or two photos would become one file."""
    if not photo.is_dir():
        out = out or Path(f"{photo.stem}-translated.png")
        options.check_picture(out, "-o", photo)
        return [(photo, out)]
    out = out or Path(f"{photo.resolve().name}-translated")
    if out.exists() and (not out.is_dir() or out.samefile(photo)):
        raise BadInput(f"-o {out}: for a folder of photos give another folder")
    paths = _photos(photo, out)
    names = _names([path.relative_to(photo) for path in paths])
    return [(path, out / f"{name}.png") for path, name in zip(paths, names, strict=True)]


def _photos(folder: Path, out: Path) -> list[Path]:
    """The photos of a folder but for those in `out`, which an earlier run may have written."""
    from mien.faces.folder import read_folder

    paths, _ = read_folder(folder)
    inner = out.resolve()
    if not inner.is_relative_to(folder.resolve()):
        return list(paths)
    left = [path for path in paths if not path.resolve().is_relative_to(inner)]
    if not left:
        raise BadInput(f"{folder} holds no photos but those in -o {out}; give another -o")
    if len(left) < len(paths):
        typer.echo(f"mien: {len(paths) - len(left)} photos in -o {out} left out", err=True)
    return left


def _names(photos: Sequence[Path]) -> list[str]:
    """A file name for each photo; the ending is kept where the names would be the same.

    Raises BadInput, naming both, where two photos share even that.
    """
    short = ["-".join(photo.with_suffix("").parts) for photo in photos]
    times = Counter(name.lower() for name in short)  # some disks tell no cases apart
    names = [
        name if times[name.lower()] == 1 else "-".join(photo.parts)
        for name, photo in zip(short, photos, strict=True)
    ]
    taken: dict[str, Path] = {}
    for name, photo in zip(names, photos, strict=True):
        other = taken.setdefault(name.lower(), photo)
        if other is not photo:
            raise BadInput(f"{other} and {photo} would both become {name}.png; rename one of them")
    return names


def _portraits(
    jobs: list[Job], photo: Path, card: dict[str, Any], face: tuple[int, bool]
) -> Iterator[tuple[Path, Portrait]]:
    """The picture to write and the portrait of each photo; those that cannot be used are named.

    face: its number, and whether photos are aligned faces. Raises BadInput for a photo by itself.
    """
    for source, place in _shown(jobs, photo):
        try:
            portrait = options.portrait_of(source, card, *face)
        except BadInput as error:
            if len(jobs) == 1:
                raise
            typer.echo(f"mien: {error}; left out", err=True)
            continue
        yield place, portrait


def _shown(jobs: list[Job], photo: Path) -> Iterator[Job]:
    """The jobs, with a bar for several."""
    if len(jobs) == 1:
        yield from jobs
        return
    with output.progress_bar(f"translating {photo}") as progress:
        for done, job in enumerate(jobs):
            yield job
            progress(done + 1, len(jobs), job[0].name)


def _opened(model: str, wish: Wish | float) -> Any:
    """(translator, recogniser), after the wish's names were checked."""
    from mien.edit.translate import check_wish
    from mien.generators import open_translator
    from mien.recognise.any_size import AnySize
    from mien.recognise.recogniser import open_recogniser

    translator = open_translator(model)
    if not isinstance(wish, float):
        check_wish(translator, wish.to)
    return translator, AnySize(open_recogniser())


def _write(portrait: Portrait, place: Path, opened: Any, wish: Wish | float, what: str) -> None:
    """wish: a number asks for every name by itself, at that strength."""
    import numpy as np

    from mien.edit.translate import translate_portrait, translate_to_each
    from mien.provenance.mark import save_picture

    translator, recogniser = opened
    face, note = portrait.face.pixels, pictures.stamp(translator.mark)
    if isinstance(wish, float):
        names, each = translate_to_each(face, translator, recogniser, wish)
        shown = pictures.row(np.concatenate([face[None], each]))
        save_picture(place, shown, note | {"each": names, "strength": wish})
        typer.echo(f"{place}: the face, then {', '.join(names)}")
        return
    made: Translated = translate_portrait(portrait, translator, recogniser, wish)
    kinds = {
        "photo": lambda: made.photo,
        "face": lambda: pictures.row(made.face[None]),
        "grid": lambda: pictures.row(np.stack([face, made.face])),
    }
    save_picture(place, kinds[what](), note | {"to": dict(wish.to), "strength": wish.strength})
    typer.echo(f"{place}: " + ", ".join(f"{name} {value:g}" for name, value in wish.to.items()))

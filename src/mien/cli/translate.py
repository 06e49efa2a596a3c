"""`mien translate`: faces in photos by a translator, without a latent in between."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli import options, output, pictures
from mien.errors import BadInput, NoFaceFound

if TYPE_CHECKING:
    from mien.edit.translate import Translated, Wish
    from mien.faces.portrait import Portrait

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
    for source, place in _shown(jobs, photo):
        try:
            portrait = options.portrait_of(source, card, number, aligned)
        except NoFaceFound as error:
            if len(jobs) == 1:
                raise
            typer.echo(f"mien: {error}; left out", err=True)
            continue
        opened = opened or _opened(model, wish)  # torch begins here
        _write(portrait, place, opened, wish, "grid" if grid else "face" if crop else "photo")


def pairs(to: list[str] | None) -> dict[str, float]:
    """{attribute: presence} of NAME or NAME=PRESENCE; presence is 1 where it is left out."""
    full = [pair if "=" in pair else f"{pair}=1" for pair in to or []]
    return options.numbers(full, "--to")


def _jobs(photo: Path, out: Path | None) -> list[tuple[Path, Path]]:
    """(photo, picture to write) pairs; the folder of the pictures is made."""
    if not photo.is_dir():
        out = out or Path(f"{photo.stem}-translated.png")
        options.check_picture(out, "-o", photo)
        return [(photo, out)]
    from mien.faces.folder import read_folder

    paths, _ = read_folder(photo)
    out = out or Path(f"{photo.resolve().name}-translated")
    if out.exists() and (not out.is_dir() or out.samefile(photo)):
        raise BadInput(f"-o {out}: for a folder of photos give another folder")
    names = ["-".join(path.relative_to(photo).with_suffix("").parts) for path in paths]
    out.mkdir(parents=True, exist_ok=True)
    return [(path, out / f"{name}.png") for path, name in zip(paths, names, strict=True)]


def _shown(jobs: list[tuple[Path, Path]], photo: Path) -> Any:
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

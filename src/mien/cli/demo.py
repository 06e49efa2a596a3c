"""`mien demo`: the main job on the embedded models, as one HTML report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli import edit, find, options, output, report
from mien.errors import MissingExtra

if TYPE_CHECKING:
    import numpy as np

    from mien.cli.output import Progress
    from mien.edit.photo import EditedPhoto
    from mien.edit.recipe import Recipe
    from mien.faces.portrait import Portrait
    from mien.generators.contract import Space
    from mien.recognise.recogniser import Recogniser
    from mien.search.find import Wish
    from mien.types import Directions

EDITS = (
    "Black_Hair=1", "Blond_Hair=0.5", "Wearing_Lipstick=1", "Bangs=1", "Heavy_Makeup=1",
    "Eyeglasses=1",
)  # fmt: skip
STRIPS = ("Smiling", "Eyeglasses", "Young")
AMOUNTS = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)
SEEN = 12  # attributes listed
FOOT = (
    "Every picture here that a model edited or made says so in its metadata. The gallery's "
    "people do not exist. The models learnt from CelebA: they carry its biases, and are unfit for "
    "identifying or judging people."
)


@dataclass(frozen=True)
class Stage:
    """What the sections share: the opened models, the portrait, the folder to write to."""

    portrait: Portrait
    space: Space
    recogniser: Recogniser
    folder: Path
    progress: Progress


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to write to.")] = Path(
        "mien-demo"
    ),
) -> None:
    """Edit a portrait, rank the embedded gallery, and write both as an HTML report."""
    from mien.files import write_bytes

    out.mkdir(parents=True, exist_ok=True)
    with output.progress_bar("demo") as progress:
        sections = list(_sections(_stage(out, progress)))
    path = out / "report.html"
    title = "mien: one face, edited and looked for"
    lead = "The portrait of Eileen Collins (NASA, public domain) that scikit-image carries."
    write_bytes(path, report.page(title, lead, sections, FOOT).encode())
    typer.echo(path.absolute())


def portrait_file() -> Path:
    """scikit-image's portrait of an astronaut; MissingExtra when the package is absent."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        found = distribution("scikit-image").locate_file("skimage/data/astronaut.png")
    except PackageNotFoundError as error:
        raise MissingExtra(
            "the demo's portrait is missing; run: pip install scikit-image"
        ) from error
    return Path(str(found))


def _stage(out: Path, progress: Progress) -> Stage:
    from mien.checkpoint import find_model, load_card

    progress(0, 5, "opening the models")
    portrait = options.portrait_of(portrait_file(), load_card(find_model(options.SPACE)), 1, False)
    from mien.generators import open_space
    from mien.recognise.recogniser import open_recogniser

    return Stage(portrait, open_space(options.SPACE), open_recogniser(), out, progress)


def _sections(stage: Stage) -> Sequence[report.Section]:
    from mien.directions import open_directions

    found, basis = open_directions(options.DIRECTIONS), open_directions(options.BASIS)
    return (
        _seen(stage), _edited(stage, found), _strips(stage, found),
        _looked_for(stage, basis),
    )  # fmt: skip


def _seen(stage: Stage) -> report.Section:
    stage.progress(1, 5, "attributes")
    row = stage.recogniser.probabilities(stage.portrait.face.pixels[None])[0]
    pairs = zip(stage.recogniser.names, row.tolist(), strict=True)
    ranked = dict(sorted(pairs, key=lambda pair: -pair[1])[:SEEN])
    face = report.png(edit.row(stage.portrait.face.pixels[None]))
    text = "The face is found, aligned, and read by the 40-attribute recogniser."
    blocks = [report.row([report.figure(face, "aligned face", 192), report.bars(ranked)])]
    return report.Section(
        "What the recogniser sees", text, [*blocks, report.command("attributes PHOTO")]
    )


def _edited(stage: Stage, directions: Directions) -> report.Section:
    stage.progress(2, 5, "edits")
    photo = stage.portrait.photo
    near = [report.figure(report.png(_near(stage, photo)), "the photo", 220)]
    whole = [report.figure(report.png(photo), "the photo", 400)]
    for wanted in EDITS:
        recipe = _recipe(wanted)
        edited = _edit(stage, directions, recipe)
        note, stem = edit.note_of(recipe, edited), wanted.replace("=", "-")
        data = _picture(stage, f"{stem}.jpg", edited.photo, note)
        if len(whole) == 1:
            whole.append(report.figure(data, f"--set {wanted}", 400))
        data = _picture(stage, f"{stem}-face.png", _near(stage, edited.photo), note)
        near.append(report.figure(data, f"--set {wanted}", 220))
    text = "The edited face is pasted back into the photo at the photo's own resolution."
    command = report.command(f"edit PHOTO --set {EDITS[0]} -o out.png")
    return report.Section("Edits", text, [report.row(whole), command, report.row(near)])


def _near(stage: Stage, photo: np.ndarray) -> np.ndarray:
    """The part of a photo that the face's square covers."""
    import numpy as np

    from mien.faces.paste import mask_of

    rows, columns = np.nonzero(mask_of(photo, stage.portrait.face))
    return photo[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _strips(stage: Stage, directions: Directions) -> report.Section:
    from mien.edit.strip import strip

    stage.progress(3, 5, "strips")
    latent = stage.space.encode(stage.portrait.face.pixels[None])
    figures = []
    for name in STRIPS:
        faces = strip(stage.space, latent, directions, name, AMOUNTS)
        note = {"mien": "strip", "attribute": name, "amounts": AMOUNTS, "model": stage.space.mark}
        data = _picture(stage, f"strip-{name}.png", edit.row(faces), note)
        figures.append(report.figure(data, f"{name}, amounts {AMOUNTS[0]:g} to {AMOUNTS[-1]:g}"))
    text = (
        "The same latent moved along one direction. The middle is the plain reconstruction; "
        "an amount of 1 takes a typical face without the attribute to one with it."
    )
    return report.Section(
        "Strips", text, [*figures, report.command("edit PHOTO --move Smiling=1.5 --strip")]
    )


def _looked_for(stage: Stage, basis: Directions) -> report.Section:
    stage.progress(4, 5, "search")
    blocks = []
    for number, (arguments, wish) in enumerate(_wishes().items(), start=1):
        sheet = _sheet(stage, basis, wish, f"find-{number}.png")
        blocks += [report.command(arguments), report.figure(sheet, arguments)]
    text = (
        "A thousand faces sampled from the model, nearest first. The bars are shares of the "
        "distance: what keeps a face from being a perfect answer."
    )
    return report.Section("Finds", text, blocks)


def _wishes() -> dict[str, Wish]:
    """What to look for, by the arguments that say it."""
    from mien.search.find import Wish

    wishes = (
        Wish(),
        Wish(adjust={"Eyeglasses": 1.0}, prefer={"Eyeglasses": 100.0}),
        Wish(adjust={"Smiling": 0.0}, prefer={"Smiling": 30.0}),
    )
    return {_said(wish): wish for wish in wishes}


def _said(wish: Wish) -> str:
    options = (("--adjust", wish.adjust), ("--prefer", wish.prefer))
    asked = [f"{word} {name}={value:g}" for word, found in options for name, value in found.items()]
    return " ".join(["find PHOTO", *asked])


def _sheet(stage: Stage, basis: Directions, wish: Wish, name: str) -> bytes:
    from mien.search.find import open_gallery

    gallery = open_gallery()
    sought = find.Sought(stage.portrait.face, wish, stage.space, basis)
    find.save_sheet(stage.folder / name, sought, gallery, sought.hits(gallery))
    return (stage.folder / name).read_bytes()


def _recipe(wanted: str) -> Recipe:
    from mien.edit.recipe import Recipe

    return Recipe(options.SPACE, options.DIRECTIONS, options.presences([wanted], "--set"))


def _edit(stage: Stage, directions: Directions, recipe: Recipe) -> EditedPhoto:
    from mien.edit.photo import edit_photo

    return edit_photo(stage.portrait, stage.space, directions, stage.recogniser, recipe)


def _picture(stage: Stage, name: str, pixels: np.ndarray, note: Mapping[str, Any]) -> bytes:
    """Write a marked picture into the demo's folder; the bytes written."""
    from mien.provenance.mark import save_picture

    save_picture(stage.folder / name, pixels, note)
    return (stage.folder / name).read_bytes()

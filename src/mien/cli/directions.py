"""`mien directions`: fit attribute directions to labelled faces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli import options, output
from mien.errors import SpaceMismatch

if TYPE_CHECKING:
    from mien.directions import SampleOptions
    from mien.directions.contract import Labelled
    from mien.search.gallery import Gallery
    from mien.types import Directions

app = typer.Typer(no_args_is_help=True, help="Fit attribute directions to labelled faces.")

Source = Annotated[
    Path | None,
    typer.Argument(
        help="Gallery whose faces have known attributes; without one, samples of the space.",
        show_default=False,
    ),
]
Samples = Annotated[
    int,
    typer.Option(
        "--samples", min=1, max=options.FACES, help="Without a gallery: faces drawn and recognised."
    ),
]
Truncation = Annotated[
    float, typer.Option("--truncation", help="Distance of samples from the average face.")
]
Scores = Annotated[
    bool,
    typer.Option("--scores", help="Let the recogniser score the gallery's photos, for hyperplane."),
]
Out = Annotated[Path, typer.Option("-o", "--out", help="Folder to write the directions to.")]
Method = Annotated[
    str,
    typer.Option("--method", help="mean_difference, decoded, orthogonal_basis or another part."),
]
Option = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="FIELD=VALUE", help="An option of the method. Repeatable."),
]
Attribute = Annotated[
    list[str] | None,
    typer.Option(
        "--attribute",
        metavar="NAME",
        help="Fit this attribute only; all if left out. Repeatable.",
        autocompletion=options.complete_name,
    ),
]
Calibrate = Annotated[
    bool,
    typer.Option(help="Measure on decoded faces how far an amount of 1 goes."),
]


@dataclass(frozen=True)
class Faces:
    """The faces that directions are fitted to, and where they came from."""

    data: Labelled
    gallery: Gallery | None


@app.command("fit")
def fit(
    out: Out,
    gallery: Source = None,
    method: Method = "mean_difference",
    option: Option = None,
    attribute: Attribute = None,
    calibrate: Calibrate = True,
    scores: Scores = False,
    samples: Samples = 2000,
    seed: options.Seed = 0,
    truncation: Truncation = 1.0,
    space: options.Model = options.SPACE,
) -> None:
    """Fit directions to labelled faces: of GALLERY, or samples that the recogniser labels.

    Methods that need no labels (pca, sefa) only take latents or weights.
    """
    from mien.checkpoint import check_free
    from mien.directions import SampleOptions, bounded, fit_distribution, save_directions
    from mien.directions.contract import needs_labels
    from mien.rooms import open_part

    options.check_truncation(truncation)
    check_free(out)  # before the faces are fitted, which may take long
    part = open_part("directions", method)
    asked = options.filled(part.Options, option or [], "--option")
    labels, drawn = needs_labels(part), SampleOptions(samples, seed, truncation)
    with output.progress_bar(f"fitting {method}") as progress:
        if gallery is not None:
            faces = _gallery(gallery, space, scores and labels, progress)
        else:
            faces = _samples(part, space, drawn, progress)
        found = part.find(faces.data.select(_chosen(attribute, faces.data)), asked)
        if faces.data.latent.values.ndim == 2:  # rows of a layered latent are kept by truncation
            found = bounded(found, fit_distribution(faces.data.latent))
        if calibrate and labels:
            progress(0, 1, "calibrating")
            found = _calibrated(found, faces)
        save_directions(out, found)
    typer.echo(f"{out}: {len(found.names)} directions in {found.space} of {found.model}")


def _chosen(attribute: list[str] | None, data: Labelled) -> tuple[str, ...]:
    """The attributes to fit, each once however often it is given; all without any."""
    options.check_names(attribute or [], data.attributes.names, "--attribute")
    return tuple(dict.fromkeys(attribute or data.attributes.names))


def _gallery(folder: Path, space: str, scores: bool, progress: output.Progress) -> Faces:
    import numpy as np

    from mien.directions.contract import Labelled
    from mien.generators import open_space
    from mien.search.gallery import Gallery

    opened = Gallery.open(folder)
    _check_space(opened, space)
    source = open_space(space)
    read = None
    if scores:
        from mien.recognise.recogniser import open_recogniser
        from mien.search.levels import read_photos

        recogniser = open_recogniser()
        known = [name for name in opened.attributes.names if name in recogniser.names]
        rows = np.arange(len(opened))
        columns = [recogniser.names.index(name) for name in known]
        read = read_photos(opened, recogniser, rows, progress)[:, columns]
        labels = opened.attributes.select(known)
    else:
        labels = opened.attributes
    return Faces(Labelled(opened.latent, labels, read, source, progress), opened)


def _check_space(gallery: Gallery, space: str) -> None:
    """Raise SpaceMismatch unless the gallery's latents are those of `space`."""
    from mien.checkpoint import mark, space_card

    asked = mark(space_card(space))
    if asked != gallery.mark:
        raise SpaceMismatch(
            f"{gallery.folder} holds faces of {gallery.mark}, --space {space} is {asked}; "
            "give --space with the gallery's model"
        )


def _samples(part: Any, space: str, asked: SampleOptions, progress: output.Progress) -> Faces:
    """Samples labelled by the recogniser, or plain ones for a method that needs no labels."""
    from mien.directions import labelled_samples
    from mien.directions.contract import needs_labels, unlabelled
    from mien.generators import open_space
    from mien.recognise.any_size import AnySize
    from mien.recognise.recogniser import open_recogniser

    source = open_space(space)
    if not needs_labels(part):
        count = max(asked.count, part.SAMPLES)
        return Faces(unlabelled(source.sample(count, asked.seed, asked.truncation), source), None)
    data = labelled_samples(source, AnySize(open_recogniser()), asked, progress)
    return Faces(replace(data, tell=progress), None)


def _calibrated(found: Directions, faces: Faces) -> Directions:
    from mien.directions import CalibrationOptions, calibrate
    from mien.recognise import identity
    from mien.recognise.any_size import AnySize
    from mien.recognise.recogniser import open_recogniser
    from mien.search.levels import photo_levels

    data, recogniser = faces.data, open_recogniser()
    levels = {} if faces.gallery is None else photo_levels(faces.gallery, recogniser)
    known = identity.embed if faces.data.source.frame == "celeba" else None  # where it cuts faces
    asked = CalibrationOptions(levels=levels, embed=known)
    return calibrate(found, data.source, AnySize(recogniser), data.latent, data.attributes, asked)

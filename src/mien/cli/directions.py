"""`mien directions`: fit attribute directions to labelled faces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import options, output

if TYPE_CHECKING:
    from mien.generators.contract import Space
    from mien.search.gallery import Gallery
    from mien.types import Directions

app = typer.Typer(no_args_is_help=True, help="Fit attribute directions to labelled faces.")

Source = Annotated[
    Path, typer.Argument(help="Gallery whose faces have known attributes.", show_default=False)
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


@app.command("fit")
def fit(
    ctx: typer.Context,
    gallery: Source,
    out: Out,
    method: Method = "mean_difference",
    option: Option = None,
    attribute: Attribute = None,
    calibrate: Calibrate = True,
    space: options.Model = options.SPACE,
) -> None:
    """Fit directions to the faces of GALLERY, whose attributes came from a CSV or CelebA."""
    from mien.directions import bounded, fit_distribution, save_directions
    from mien.directions.contract import Labelled
    from mien.generators import open_space
    from mien.rooms import open_part
    from mien.search.gallery import Gallery

    part = open_part("directions", method)
    asked = options.filled(part.Options, option or [], "--option")
    opened, source = Gallery.open(gallery), open_space(space)
    known = opened.attributes
    options.check_names(attribute or [], known.names, "--attribute")
    labels = known.select(attribute or known.names)
    with options.bulk(ctx), output.progress_bar(f"fitting {method}") as progress:
        progress(0, 2 if calibrate else 1, f"{len(labels.names)} attributes, {len(opened)} faces")
        found = part.find(Labelled(opened.latent, labels, source=source, tell=progress), asked)
        found = bounded(found, fit_distribution(opened.latent))
        if calibrate:
            progress(1, 2, "calibrating")
            found = _calibrated(found, opened, source)
        save_directions(out, found)
    typer.echo(f"{out}: {len(found.names)} directions in {found.space} of {found.model}")


def _calibrated(found: Directions, gallery: Gallery, space: Space) -> Directions:
    from mien.directions import CalibrationOptions, calibrate
    from mien.recognise.recogniser import open_recogniser
    from mien.search.levels import photo_levels

    recogniser = open_recogniser()
    asked = CalibrationOptions(levels=photo_levels(gallery, recogniser))
    return calibrate(found, space, recogniser, gallery.latent, gallery.attributes, asked)

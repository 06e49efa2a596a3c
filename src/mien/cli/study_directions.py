"""`mien study directions|basis`: what finders of directions find, and at what price."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import finders, options, output
from mien.cli.study import Option, Out, print_rows, print_tables

if TYPE_CHECKING:
    from mien.directions.contract import Labelled
    from mien.generators.contract import Space

METHODS = ("mean_difference", "ridge", "hyperplane", "pca")  # judged when nothing is named

Methods = Annotated[
    list[str] | None,
    typer.Option("--method", metavar=finders.FORM, help="A finder to fit and judge. Repeatable."),
]
Stored = Annotated[
    list[str] | None,
    typer.Option("--directions", metavar="MODEL", help="Directions to judge. Repeatable."),
]
Faces = Annotated[
    Path | None,
    typer.Option("--gallery", help="Gallery with known attributes; else faces are drawn."),
]
Samples = Annotated[
    int,
    typer.Option("--samples", min=10, max=options.FACES, help="Faces drawn without a gallery."),
]
Reader = Annotated[
    str, typer.Option("--reader", metavar="MODEL", help="Recogniser that reads moved faces.")
]
Vary = Annotated[
    list[str] | None,
    typer.Option(
        "--vary", metavar="FIELD=VALUE,...", help="Values of an option of the basis. Repeatable."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def directions(
    out: Out = Path("runs/study-directions"),
    method: Methods = None,
    stored: Stored = None,
    gallery: Faces = None,
    samples: Samples = 1000,
    option: Option = None,
    reader: Reader = "judge",
    json: Json = False,
    space: options.Model = options.SPACE,
) -> None:
    """Judge direction finders: separability, what each direction drags along, identity kept.

    Without a gallery, faces are drawn from the space and labelled by the recogniser.
    """
    from mien.directions import open_directions
    from mien.files import check_folder
    from mien.generators import open_space  # torch
    from mien.recognise.any_size import AnySize
    from mien.recognise.recogniser import open_recogniser
    from mien.studies import directions as study
    from mien.studies._candidates import fitted, held_out

    check_folder(out)  # before anything is fitted
    asked = options.filled(study.Options, option or [], "--option")
    finders_asked = [finders.named(text) for text in method or ([] if stored else METHODS)]
    judged = [study.Candidate(Path(name).name, open_directions(name)) for name in stored or []]
    opened, read = open_space(space), AnySize(open_recogniser(reader))
    with output.progress_bar("directions study") as progress:
        data = _labelled(gallery, opened, samples, progress)
        train, held = held_out(data, asked.seed)
        found = [(finder.text, finder.part, finder.options) for finder in finders_asked]
        candidates = judged + fitted(found, train, asked.reach, progress)
        report = study.run(candidates, study.Bench(opened, read, held), asked, out, progress)
    if json:
        output.print_json(report)
        return
    print_tables(report, study.TITLES)
    typer.echo(out)


def basis(
    gallery: Annotated[Path, typer.Argument(help="Gallery with known attributes.")],
    out: Out = Path("runs/study-basis"),
    vary: Vary = None,
    option: Option = None,
    reader: Reader = "judge",
    space: options.Model = options.SPACE,
) -> None:
    """Fit the sparse orthogonal basis with every combination of options; compare the runs.

    Runs that finished are kept: the same command goes on where it was interrupted.
    """
    from mien.directions.orthogonal_basis import Options as Fit
    from mien.generators import open_space  # torch
    from mien.recognise.any_size import AnySize
    from mien.recognise.recogniser import open_recogniser
    from mien.studies import basis as study
    from mien.studies._candidates import held_out
    from mien.studies.directions import Bench

    asked = options.filled(study.Options, option or [], "--option")
    varied = {key: text.split(",") for key, text in options.texts(vary or [], "--vary").items()}
    trials = [
        study.Trial(row, options.filled(Fit, [f"{k}={v}" for k, v in row.items()], "--vary"))
        for row in study.grid(varied or study.STUDIED)
    ]
    opened, read = open_space(space), AnySize(open_recogniser(reader))
    with output.progress_bar("basis study") as progress:
        train, held = held_out(_labelled(gallery, opened, 0, progress), asked.seed)
        rows = study.run(trials, train, Bench(opened, read, held), asked, out, progress)
    print_rows("Sparse orthogonal bases", rows)
    typer.echo(out)


def _labelled(
    gallery: Path | None, space: Space, samples: int, progress: output.Progress
) -> Labelled:
    """The faces of a gallery with their labels, or samples that the recogniser labels."""
    from mien.directions import SampleOptions, labelled_samples
    from mien.directions.contract import Labelled
    from mien.recognise.any_size import AnySize
    from mien.recognise.recogniser import open_recogniser
    from mien.search.gallery import Gallery

    if gallery is None:
        asked = SampleOptions(samples)
        return labelled_samples(space, AnySize(open_recogniser()), asked, progress)
    opened = Gallery.open(gallery)
    return Labelled(opened.latent, opened.attributes, source=space)

"""`mien study`: measure on CelebA what the documentation claims."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import finders, options, output

if TYPE_CHECKING:
    from mien.directions.contract import Labelled
    from mien.generators.contract import Space

METHODS = ("mean_difference", "ridge", "hyperplane", "pca")  # judged when nothing is named

app = typer.Typer(no_args_is_help=True, help="Measure retrieval, editing and directions.")

Out = Annotated[Path, typer.Option("-o", "--out", help="Folder for table, CSV and pictures.")]
Option = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="FIELD=VALUE", help="An option of the study. Repeatable."),
]
Found = Annotated[
    str | None,
    typer.Option("--directions", metavar="MODEL", help="Directions to use; else the space's own."),
]
Basis = Annotated[
    str | None,
    typer.Option(
        "--basis", "--directions", metavar="MODEL", help="Basis to use; else the space's own."
    ),
]
Spaces = Annotated[
    list[str] | None, typer.Option("--space", metavar="MODEL", help="A space. Repeatable.")
]
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
Samples = Annotated[int, typer.Option("--samples", min=10, help="Faces drawn without a gallery.")]
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


@app.command("retrieval")
def retrieval(
    data: options.Data,
    out: Out = Path("runs/study-retrieval"),
    option: Option = None,
    space: options.Model = options.SPACE,
    basis: Basis = None,
) -> None:
    """Measure nDCG, attribute agreement and identity of `mien find` against plain distance."""
    from mien.directions import open_directions
    from mien.faces.celeba import read_celeba
    from mien.generators import open_space
    from mien.studies import retrieval as study

    read_celeba(data, "test")  # a wrong folder is refused before torch is imported
    asked = options.filled(study.Options, option or [], "--option")
    directions = open_directions(options.own(space, basis, "basis"))
    with output.progress_bar("retrieval study") as progress:
        rows = study.run(data, open_space(space), directions, asked, out, progress)
    _print("Retrieval on CelebA's test split", rows)
    typer.echo(out)


@app.command("editing")
def editing(
    data: options.Data,
    out: Out = Path("runs/study-editing"),
    option: Option = None,
    space: options.Model = options.SPACE,
    directions: Found = None,
) -> None:
    """Measure how often the judge sees an edit, and whether the person stays."""
    from dataclasses import asdict

    from mien.directions import open_directions
    from mien.faces.celeba import read_celeba

    read_celeba(data, "test")
    found = open_directions(options.own(space, directions))
    from mien.generators import open_space  # torch, after what can be refused without it
    from mien.recognise.recogniser import open_recogniser
    from mien.studies import editing as study

    asked = options.filled(study.Options, option or [], "--option")
    models = study.Models(open_space(space), found, open_recogniser("judge"))
    with output.progress_bar("editing study") as progress:
        rows = study.run(data, models, asked, out, progress)
    _print("Edits of CelebA's test photos", [asdict(row) for row in rows])
    typer.echo(out)


@app.command("inversion")
def inversion(
    data: options.Data,
    out: Out = Path("runs/study-inversion"),
    option: Option = None,
    space: Spaces = None,
    inverter: Annotated[
        list[str] | None,
        typer.Option("--inverter", metavar="KIND", help="encoder, hybrid, optimise. Repeatable."),
    ] = None,
    directions: Found = None,
) -> None:
    """Measure what inverters keep of photos, and how well their latents can be edited."""
    from dataclasses import asdict

    from mien.directions import open_directions
    from mien.faces.celeba import read_celeba

    read_celeba(data, "test")
    names = space or ["stylegan2-64"]
    found = open_directions(options.own(names[0], directions))
    from mien.generators import open_space  # torch
    from mien.recognise.any_size import AnySize
    from mien.recognise.recogniser import open_recogniser
    from mien.studies import inversion as study
    from mien.studies._inverters import DESCENT, KINDS, subject

    asked = options.filled(study.Options, option or [], "--option")
    spaces = [open_space(name) for name in names]
    kinds = inverter or KINDS
    read = [subject(one, kind, asked) for kind in kinds if kind != DESCENT for one in spaces]
    subjects = read + [subject(spaces[0], kind, asked) for kind in kinds if kind == DESCENT]
    readers = (AnySize(open_recogniser(name)) for name in ("recogniser", "judge"))
    with output.progress_bar("inversion study") as progress:
        rows = study.run(data, subjects, study.Bench(found, *readers), asked, out, progress)
    _print("Inverters on CelebA's test photos", [asdict(row) for row in rows])
    typer.echo(out)


@app.command("translation")
def translation(
    data: options.Data,
    model: Annotated[
        list[str], typer.Option("--model", metavar="MODEL", help="A translator. Repeatable.")
    ],
    out: Out = Path("runs/study-translation"),
    option: Option = None,
) -> None:
    """Measure what translators do to CelebA's test photos, for everybody and for subgroups."""
    from dataclasses import asdict

    from mien.faces.celeba import read_celeba

    read_celeba(data, "test")
    from mien.generators import open_translator  # torch
    from mien.recognise.any_size import AnySize
    from mien.recognise.recogniser import open_recogniser
    from mien.studies import translation as study

    asked = options.filled(study.Options, option or [], "--option")
    translators = [open_translator(name) for name in model]
    readers = AnySize(open_recogniser()), AnySize(open_recogniser("judge"))
    with output.progress_bar("translation study") as progress:
        rows, wholes = study.run(data, translators, readers, asked, out, progress)
    _print("Translators", [asdict(whole) for whole in wholes])
    everybody = [asdict(row) for row in rows if row.group == study.EVERYBODY]
    _print("Wishes on CelebA's test photos", everybody)
    typer.echo(out)


@app.command("samples")
def samples(
    data: options.Data,
    out: Out = Path("runs/study-samples"),
    option: Option = None,
    space: Spaces = None,
) -> None:
    """Measure how near the samples of spaces are to CelebA's photos (Frechet distance).

    Distances over the first space's are printed too.
    """
    from mien.faces.celeba import read_celeba

    read_celeba(data, "test")
    from mien.generators import open_space  # torch
    from mien.studies import samples as study

    asked = options.filled(study.Options, option or [], "--option")
    spaces = [open_space(name) for name in space or [options.SPACE]]
    with output.progress_bar("samples study") as progress:
        rows = study.run(data, spaces, asked, out, progress)
    _print("Samples against CelebA's train split", rows)
    typer.echo(out)


@app.command("directions")
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
    from mien.generators import open_space  # torch
    from mien.recognise.any_size import AnySize
    from mien.recognise.recogniser import open_recogniser
    from mien.studies import directions as study
    from mien.studies._candidates import fitted, held_out

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
    for key, title in study.TITLES.items():
        if report[key]:
            _print(title, report[key])
    typer.echo(out)


@app.command("basis")
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
    _print("Sparse orthogonal bases", rows)
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


def _print(title: str, rows: list[dict[str, object]]) -> None:
    cells = [
        [f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()]
        for row in rows
    ]
    output.print_table(title, list(rows[0]), cells)

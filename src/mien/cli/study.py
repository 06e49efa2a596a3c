"""`mien study`: measure on CelebA what the documentation claims."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli import options, output

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
    print_rows("Retrieval on CelebA's test split", rows)
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
    print_rows("Edits of CelebA's test photos", [asdict(row) for row in rows])
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
    print_rows("Inverters on CelebA's test photos", [asdict(row) for row in rows])
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
    print_rows("Translators", [asdict(whole) for whole in wholes])
    everybody = [asdict(row) for row in rows if row.group == study.EVERYBODY]
    print_rows("Wishes on CelebA's test photos", everybody)
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
    print_rows("Samples against CelebA's train split", rows)
    typer.echo(out)


def print_tables(tables: Mapping[str, Any], titles: Mapping[str, str]) -> None:
    """The tables of a report that have titles, but for empty ones."""
    for key, title in titles.items():
        if tables[key]:
            print_rows(title, tables[key])


def print_rows(title: str, rows: list[dict[str, object]]) -> None:
    """Rows with the same keys as a table under a title; floats with three decimals."""
    cells = [
        [f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()]
        for row in rows
    ]
    output.print_table(title, list(rows[0]), cells)

"""`mien study`: measure on CelebA what the documentation claims."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli import options, output

app = typer.Typer(
    no_args_is_help=True, help="Measure retrieval and editing on CelebA's test split."
)

Out = Annotated[Path, typer.Option("-o", "--out", help="Folder for table, CSV and pictures.")]
Option = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="FIELD=VALUE", help="An option of the study. Repeatable."),
]
Found = Annotated[str, typer.Option("--directions", metavar="MODEL", help="Directions to use.")]


@app.command("retrieval")
def retrieval(
    data: options.Data,
    out: Out = Path("runs/study-retrieval"),
    option: Option = None,
    space: options.Model = options.SPACE,
    basis: Found = options.BASIS,
) -> None:
    """Measure nDCG, attribute agreement and identity of `mien find` against plain distance."""
    from mien.directions import open_directions
    from mien.faces.celeba import read_celeba
    from mien.generators import open_space
    from mien.studies import retrieval as study

    read_celeba(data, "test")  # a wrong folder is refused before torch is imported
    asked = options.filled(study.Options, option or [], "--option")
    directions = open_directions(basis)
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
    directions: Found = options.DIRECTIONS,
) -> None:
    """Measure how often the judge sees an edit, and whether the person stays."""
    from dataclasses import asdict

    from mien.directions import open_directions
    from mien.faces.celeba import read_celeba

    read_celeba(data, "test")
    found = open_directions(directions)
    from mien.generators import open_space  # torch, after what can be refused without it
    from mien.recognise.recogniser import open_recogniser
    from mien.studies import editing as study

    asked = options.filled(study.Options, option or [], "--option")
    models = study.Models(open_space(space), found, open_recogniser("judge"))
    with output.progress_bar("editing study") as progress:
        rows = study.run(data, models, asked, out, progress)
    _print("Edits of CelebA's test photos", [asdict(row) for row in rows])
    typer.echo(out)


def _print(title: str, rows: list[dict[str, object]]) -> None:
    cells = [
        [f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()]
        for row in rows
    ]
    output.print_table(title, list(rows[0]), cells)

"""`mien study stargan`: a grid of StarGAN trainings, measured side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import options, output
from mien.cli.study import Out, print_tables

if TYPE_CHECKING:
    from mien.studies._stargan_grids import Grid

FRAME = 0.4  # seconds that each picture of a training is shown

Named = Annotated[
    str, typer.Option("--grid", metavar="GRID", help="small, joint, full, or a TOML or JSON file.")
]
Only = Annotated[
    list[str] | None,
    typer.Option("--run", metavar="NAME", help="Only this run of the grid. Repeatable."),
]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Runs at a time, a process each.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def stargan(
    data: options.Data,
    out: Out = Path("runs/study-stargan"),
    grid: Named = "small",
    run: Only = None,
    workers: Workers = 1,
    json: Json = False,
) -> None:
    """Train a grid of StarGANs and compare them; goes on where it stopped.

    Each run leaves runs/NAME with its log, model and training.gif. A run that fails is
    reported at the end, with exit code 2, and the others are kept.
    """
    from mien.faces.celeba import read_celeba

    read_celeba(data, "train")
    from mien.studies import stargan as study  # torch
    from mien.studies._stargan_grids import open_grid

    opened = open_grid(grid)
    if run:
        opened = opened.only(run)
    with output.progress_bar("StarGAN study") as progress:
        report = study.run(data, opened, out, workers, progress)
    _animate(out, opened)
    if json:
        output.print_json({**report.tables, "failed": report.failed})
    else:
        print_tables(report.tables, study.TITLES)
        typer.echo(out)
    for name, why in report.failed.items():
        typer.echo(f"mien: run {name} failed: {why}", err=True)
    if report.failed:
        raise typer.Exit(2)


def _animate(out: Path, grid: Grid) -> None:
    """Write every run's training.gif."""
    from dataclasses import asdict

    from mien.provenance.animation import AnimationOptions, save_animation
    from mien.studies.stargan import films

    shown = AnimationOptions(seconds=FRAME, back=False)
    for entry, folder, frames in films(out, grid.entries):
        note = {"run": entry.name, "recipe": asdict(entry.recipe)}
        save_animation(folder / "training.gif", frames, note, shown)

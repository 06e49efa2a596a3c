"""`mien train`: retrain every weight from its recipe."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mien.cli import options, output
from mien.errors import BadInput

SEVERAL = ("stargan",)  # trained by several processes, where accelerate launched them

app = typer.Typer(
    no_args_is_help=True, help="Train a model from its recipe; resumes when run again."
)
Out = Annotated[
    Path, typer.Option("-o", "--out", help="Folder of the run: log, checkpoint, model.")
]
Name = Annotated[str, typer.Option("--name", help="Name of the model folder inside --out.")]
Recipe = Annotated[
    list[str] | None,
    typer.Option(
        "--recipe", metavar="FIELD=VALUE", help="Change a field of the recipe. Repeatable."
    ),
]

Export = Annotated[
    bool, typer.Option("--export", help="Write the last checkpoint's model, train no more.")
]


@app.command("recogniser")
def train_recogniser(
    data: options.Data,
    out: Out = Path("runs/recogniser"),
    name: Name = "recogniser",
    recipe: Recipe = None,
) -> None:
    """Train a 40-attribute recogniser on CelebA at DATA.

    The judge: --name judge --recipe architecture=efficientnet_lite0
    """
    _train("recogniser", data, out, name, recipe or [])


@app.command("vae")
def train_vae(
    data: options.Data,
    out: Out = Path("runs/vae-128"),
    name: Name = "vae-128",
    recipe: Recipe = None,
) -> None:
    """Train the DFC-VAE on CelebA at DATA."""
    _train("vae", data, out, name, recipe or [])


@app.command("stylegan2")
def train_stylegan2(
    data: options.Data,
    out: Out = Path("runs/stylegan2-64"),
    name: Name = "stylegan2-64",
    recipe: Recipe = None,
    export: Export = False,
) -> None:
    """Train a StyleGAN2 on CelebA at DATA.

    Its rates are constant: stop it when the samples are good enough, and
    write the model of the last checkpoint with --export.
    """
    _train("stylegan2", data, out, name, recipe or [], "export" if export else "train")


@app.command("e4e")
def train_e4e(
    data: options.Data,
    out: Out = Path("runs/e4e"),
    name: Name = "e4e",
    recipe: Recipe = None,
) -> None:
    """Train an e4e encoder for a StyleGAN2 (--recipe generator=) on CelebA at DATA."""
    _train("encoder", data, out, name, ["method=e4e", *(recipe or [])])


@app.command("psp")
def train_psp(
    data: options.Data,
    out: Out = Path("runs/psp"),
    name: Name = "psp",
    recipe: Recipe = None,
) -> None:
    """Train a pSp encoder for a StyleGAN2 (--recipe generator=) on CelebA at DATA."""
    _train("encoder", data, out, name, ["method=psp", *(recipe or [])])


@app.command("stargan")
def train_stargan(
    data: options.Data,
    out: Out = Path("runs/stargan"),
    name: Name = "stargan",
    recipe: Recipe = None,
    export: Export = False,
) -> None:
    """Train a StarGAN on CelebA at DATA.

    Several data sets: --recipe folders=RaFD (one folder a class), or shares of DATA with
    names of their own, --recipe joint=Black_Hair+Blond_Hair,Male+Young
    """
    _train("stargan", data, out, name, recipe or [], "export" if export else "train")


def _train(
    part: str, data: Path, out: Path, name: str, changes: Sequence[str], verb: str = "train"
) -> None:
    from mien.checkpoint import check_name
    from mien.faces.celeba import read_celeba
    from mien.files import check_folder
    from mien.train.devices import open_devices

    devices = open_devices()
    with devices.first():
        if devices.processes > 1 and part not in SEVERAL:
            raise BadInput(f"mien train {part} is one process; start it without a launcher")
        check_name(name)  # before photos are read
        check_folder(out / name)
        read_celeba(data, "train")  # a wrong folder is refused before torch is imported
        trainer = importlib.import_module(f"mien.train.{part}")
        recipe = options.filled(trainer.Recipe, changes, "--recipe")
    with output.progress_bar(f"{verb} {name}", devices.main) as progress:
        getattr(trainer, verb)(data, out, name, recipe, progress)
    if devices.main:
        typer.echo(out / name)

"""`mien invert`: find the latent of a photo's face in a StyleGAN2's space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli import options, output, pictures
from mien.errors import BadInput, UnknownName

if TYPE_CHECKING:
    import numpy as np

    from mien.generators.contract import Space
    from mien.types import Latent

PASSES = ("e4e", "psp")
METHODS = (*PASSES, "optimise", "hybrid")

Method = Annotated[
    str,
    typer.Option(
        "--method",
        help="e4e or psp: one pass of the space's encoder. optimise: descend from the average "
        "face. hybrid: descend from the encoder's latent.",
    ),
]
Steps = Annotated[
    int | None, typer.Option("--steps", min=1, help="Steps of the descent; 500, hybrid 100.")
]
Tuning = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="FIELD=VALUE", help="Change a field of the descent."),
]
Out = Annotated[
    Path | None,
    typer.Option("-o", "--out", help="Picture: face and its redrawing; PHOTO-inverted.png."),
]


def invert(
    photo: Annotated[Path, typer.Argument(help="A photo with a face in it.")],
    method: Method = "optimise",
    steps: Steps = None,
    space: options.Model = "stylegan2-64",
    number: options.Number = 1,
    aligned: options.Aligned = False,
    tuning: Tuning = None,
    out: Out = None,
) -> None:
    """Find the latent of the face in PHOTO; saves it and shows what it decodes to.

    Example: mien invert me.jpg --steps 200. Beside the picture lies
    the latent, PHOTO-inverted.npz: values, the space, the model and any noise maps.
    """
    from mien.checkpoint import space_card
    from mien.provenance.mark import save_picture

    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    if method in PASSES and (steps is not None or tuning):
        raise BadInput(f"--steps and --option belong to a descent; --method {method} is one pass")
    out = out or Path(f"{photo.stem}-inverted.png")
    options.check_picture(out, "-o", photo)
    portrait = options.portrait_of(photo, space_card(space), number, aligned)

    import numpy as np

    from mien.generators import open_space

    opened = open_space(space)
    face = portrait.face.pixels[None]
    latent, faces, noise = _found(opened, face, (method, steps, tuning or []))
    note = pictures.stamp(latent.model) | {"method": method}
    save_picture(out, pictures.row(np.concatenate([face, faces])), note)
    _save_latent(out.with_suffix(".npz"), latent, noise)
    error = float(np.square(face - faces).mean())
    typer.echo(f"{out}: mean squared error {error:.4f}; latent in {out.with_suffix('.npz')}")


def _found(
    space: Space, face: np.ndarray, asked: tuple[str, int | None, list[str]]
) -> tuple[Latent, np.ndarray, list[np.ndarray]]:
    from dataclasses import replace

    from mien.encoders import optimise

    method, steps, tuning = asked
    start = None if method == "optimise" else _encoded(space, face, method)
    if method in PASSES:
        assert start is not None
        return start, space.decode(start), []
    kind = optimise.Hybrid if method == "hybrid" else optimise.Options
    chosen = options.filled(kind, tuning, "--option")
    if steps is not None:
        chosen = replace(chosen, steps=steps)
    with output.progress_bar(f"invert by {method}") as progress:
        found = optimise.invert(space, face, chosen, start, progress)  # type: ignore[arg-type]
    return found.latent, found.faces, found.noise


def _encoded(space: Space, face: np.ndarray, method: str) -> Latent:
    """The encoder's latent; BadInput where the space has none, or another than asked for."""
    inverter = getattr(space, "inverter", None)
    kind = None if inverter is None else inverter.card["architecture"]
    if method in PASSES and kind not in (None, method):
        raise BadInput(f"the encoder of {space.card['name']} is {kind}; ask for --method {kind}")
    return space.encode(face)


def _save_latent(path: Path, latent: Latent, noise: list[np.ndarray]) -> None:
    import numpy as np

    from mien.files import atomic_open

    maps: dict[str, Any] = {f"noise_{number}": values for number, values in enumerate(noise)}
    with atomic_open(path) as handle:
        np.savez(handle, values=latent.values, space=latent.space, model=latent.model, **maps)

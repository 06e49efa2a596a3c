"""`mien invert`: find the latent of a photo's face in a StyleGAN2's space."""

from __future__ import annotations

from dataclasses import dataclass
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
LATENT = ("values", "space", "model")  # arrays of the latent's file

Method = Annotated[
    str | None,
    typer.Option(
        "--method",
        help="e4e or psp: one pass of the space's encoder. optimise: descend from the average "
        "face. hybrid: descend from the encoder's latent, which is what happens where there is "
        "an encoder and no method is given.",
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        "--steps", min=1, max=options.STEPS, help="Steps of the descent; 500, hybrid 100."
    ),
]
Fields = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="FIELD=VALUE", help="Change a field of the descent."),
]
Tune = Annotated[
    int,
    typer.Option(
        "--tune", min=0, max=options.STEPS, metavar="STEPS",
        help="Then tune the generator itself to the photo; 350 are usual, 0 is off.",
    ),
]  # fmt: skip
Locality = Annotated[
    float,
    typer.Option(
        "--locality", min=0, metavar="WEIGHT",
        help="How much tuning must leave other faces as they are; 0.1 is usual, 0 is off.",
    ),
]  # fmt: skip
Out = Annotated[
    Path | None,
    typer.Option("-o", "--out", help="Picture: face and its redrawing; PHOTO-inverted.png."),
]


@dataclass(frozen=True)
class Asked:
    """How to invert into a space, how to tune afterwards, and the picture to write."""

    space: str
    out: Path
    method: str
    steps: int | None
    fields: list[str]
    tune: int
    locality: float

    @property
    def folder(self) -> Path:
        """Of the tuned generator."""
        return self.out.with_name(f"{self.out.stem}-tuned")

    @property
    def beside(self) -> Path:
        """File of the latent."""
        return self.out.with_suffix(".npz")

    def check(self) -> None:
        """Raise UnknownName or BadInput for options that do not go together."""
        if self.method not in METHODS:
            raise UnknownName("method", self.method, METHODS)
        if self.method in PASSES and (self.steps is not None or self.fields):
            raise BadInput(
                f"--steps and --option belong to a descent; --method {self.method} is one pass"
            )
        if self.locality and not self.tune:
            raise BadInput("--locality belongs to tuning; give --tune STEPS with it")
        if self.tune:
            self._check_tuning()

    def _check_tuning(self) -> None:
        from mien.checkpoint import space_card

        if space_card(self.space)["architecture"] != "stylegan2":
            raise BadInput(f"--tune knows the generators of StyleGAN2; {self.space} is another")
        if any(field.startswith("noise=") for field in self.fields):
            raise BadInput("--tune keeps the noise maps of the model; leave out --option noise")
        if self.folder.exists():
            raise BadInput(f"{self.folder}, for the tuned generator, exists; choose another -o")


def invert(
    photo: Annotated[Path, typer.Argument(help="A photo with a face in it.")],
    method: Method = None,
    steps: Steps = None,
    space: options.Model = "stylegan2-64",
    number: options.Number = 1,
    aligned: options.Aligned = False,
    fields: Fields = None,
    tune: Tune = 0,
    locality: Locality = 0.0,
    out: Out = None,
) -> None:
    """Find the latent of the face in PHOTO; saves it and shows what it decodes to.

    Example: mien invert me.jpg --steps 200 --tune 350. Beside the picture lies the latent,
    PHOTO-inverted.npz: values, the space, the model and any noise maps; and the tuned
    generator, PHOTO-inverted-tuned, a model folder that draws the third face.
    """
    from mien.checkpoint import space_card
    from mien.generators import encoder_of

    out = out or Path(f"{photo.stem}-inverted.png")
    method = method or ("optimise" if encoder_of(space) is None else "hybrid")
    asked = Asked(space, out, method, steps, fields or [], tune, locality)
    asked.check()
    options.check_picture(out, "-o", photo)
    _check_beside(asked.beside)
    portrait = options.portrait_of(photo, space_card(space), number, aligned)

    from mien.generators import open_space

    typer.echo(_inverted(open_space(space), portrait.face.pixels[None], asked))


def _inverted(space: Space, face: np.ndarray, asked: Asked) -> str:
    """Write the picture and what lies beside it; what to tell of them."""
    import numpy as np

    from mien.provenance.mark import save_picture

    latent, faces, noise = _found(space, face, asked)
    _save_latent(asked.beside, latent, noise)
    note = pictures.stamp(latent.model) | {"method": asked.method}
    note |= pictures.weights_of(space.card)
    told = f"{asked.out}: {_error(face, faces)}; latent in {asked.beside}"
    if asked.tune:
        tuned, more = _tuned(space, face, latent, asked)
        faces, note = np.concatenate([faces, tuned]), note | more
        told += f"; tuned: {_error(face, tuned)}, generator in {asked.folder}"
    save_picture(asked.out, pictures.row(np.concatenate([face, faces])), note)
    return told


def _error(face: np.ndarray, drawn: np.ndarray) -> str:
    import numpy as np

    return f"mean squared error {float(np.square(face - drawn).mean()):.4f}"


def _found(
    space: Space, face: np.ndarray, asked: Asked
) -> tuple[Latent, np.ndarray, list[np.ndarray]]:
    from dataclasses import replace

    from mien.encoders import optimise

    start = None if asked.method == "optimise" else _encoded(space, face, asked.method)
    if asked.method in PASSES:
        assert start is not None
        return start, space.decode(start), []
    kind = optimise.Hybrid if asked.method == "hybrid" else optimise.Options
    chosen = options.filled(kind, asked.fields, "--option")
    if asked.steps is not None:
        chosen = replace(chosen, steps=asked.steps)
    with output.progress_bar(f"invert by {asked.method}") as progress:
        found = optimise.invert(space, face, chosen, start, progress)  # type: ignore[arg-type]
    return found.latent, found.faces, found.noise


def _tuned(
    space: Space, face: np.ndarray, latent: Latent, asked: Asked
) -> tuple[np.ndarray, dict[str, Any]]:
    """(what the tuned generator draws of the latent, entries of the note); writes its folder."""
    from dataclasses import asdict

    from mien.encoders import pivotal
    from mien.generators import encoder_of

    chosen = pivotal.Options(steps=asked.tune, locality=asked.locality)
    with output.progress_bar("tune the generator") as progress:
        tuned = pivotal.tune(space, face, latent, chosen, progress)  # type: ignore[arg-type]
    about = {"pivot": asked.method, "options": asdict(chosen)}
    card = pivotal.save_tuned(asked.folder, tuned, about, encoder_of(asked.space))
    return tuned.decode(latent), {"tuned": about} | pictures.weights_of(card)


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


def _check_beside(path: Path) -> None:
    """Raise BadInput where the latent would be written over a file that holds none.

    The name was not asked for, so only what an inversion left there may be replaced.
    """
    from zipfile import BadZipFile, ZipFile

    if not path.exists():
        return
    try:
        with ZipFile(path) as file:
            held = set(file.namelist())
    except (BadZipFile, OSError):
        held = set()
    if not held >= {f"{name}.npy" for name in LATENT}:
        raise BadInput(f"{path}, for the latent, exists and holds no latent; choose another -o")

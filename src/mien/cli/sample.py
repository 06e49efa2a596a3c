"""`mien sample` and `mien interpolate`: faces of a space, and the way from one to another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import options, pictures
from mien.errors import BadInput, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from mien.generators.contract import Space
    from mien.types import Attributes, Latent

Truncation = Annotated[
    float,
    typer.Option(
        "--truncation", help="Distance from the average face; below 1 faces are better, more alike."
    ),
]
Out = Annotated[Path, typer.Option("-o", "--out", help="PNG, JPEG, GIF or MP4 to write.")]
Count = Annotated[
    int, typer.Option("-n", "--count", min=1, max=options.MOST, help="Faces to draw.")
]
End = Annotated[
    str | None,
    typer.Argument(help="A photo, or a seed such as 7 (7:2 is its third face).", metavar="FACE"),
]
Steps = Annotated[
    int,
    typer.Option("--steps", min=2, max=options.MOST, help="Faces from one end to the other."),
]
Way = Annotated[str, typer.Option("--way", help="linear, or spherical: along the arc.")]
Pairs = Annotated[
    Path | None,
    typer.Option("--pairs", help="Gallery or CelebA folder to draw three pairs of faces from."),
]
Attribute = Annotated[
    str,
    typer.Option("--attribute", help="Pairs differ in it.", autocompletion=options.complete_name),
]
Gender = Annotated[
    str, typer.Option("--gender", help="Attribute that says which gender a face was labelled as.")
]


def sample(
    count: Count = 16,
    seed: options.Seed = 0,
    truncation: Truncation = 1.0,
    out: Out = Path("samples.png"),
    space: options.Model = options.SPACE,
) -> None:
    """Draw faces from a space and write them as one picture.

    Example: mien sample --space vae-128 -n 16 --seed 0 --truncation 0.7 -o grid.png
    """
    from mien.generators import open_space
    from mien.provenance.mark import save_picture

    options.check_picture(out, "-o")
    options.check_truncation(truncation)
    opened = open_space(space)
    faces = opened.decode(opened.sample(count, seed, truncation))
    asked = {"space": space, "count": count, "seed": seed, "truncation": truncation}
    note = pictures.stamp(opened.mark) | pictures.weights_of(opened.card) | {"sample": asked}
    save_picture(out, pictures.grid(faces), note, generated=True)
    typer.echo(f"{out}: {count} faces of {opened.mark}, seed {seed}")


def interpolate(
    first: End = None,
    second: End = None,
    steps: Steps = 10,
    way: Way = "linear",
    pairs: Pairs = None,
    attribute: Attribute = "Smiling",
    gender: Gender = "Male",
    seed: options.Seed = 0,
    truncation: Truncation = 1.0,
    out: Out = Path("interpolation.png"),
    aligned: options.Aligned = False,
    space: options.Model = options.SPACE,
) -> None:
    """Go from one face to another in equal steps: two photos, two seeds, or three pairs.

    With --pairs: two identities of one gender without the attribute; one gender
    without and with it; across gender without and with it.
    """
    _check_ends(pairs, (first, second), way)
    for face in (first, second):
        photo = None if face is None or _is_seed(face) else Path(face)
        options.check_picture(out, "-o", photo, kinds=pictures.KINDS)
    options.check_truncation(truncation)
    from mien.generators import open_space

    opened = open_space(space)
    if pairs is not None:
        ends, names, generated = _drawn(pairs, opened, (attribute, gender, seed))
    else:
        ends = [_end(str(face), opened, truncation, aligned) for face in (first, second)]
        names, generated = [f"{first} to {second}"], _is_seed(first) and _is_seed(second)
    count = max(steps, pictures.FRAMES) if pictures.is_animation(out) else steps
    strips = _strips(opened, ends, count, way)
    asked = {"space": space, "pairs": names, "way": way, "steps": count}
    note = pictures.stamp(opened.mark) | pictures.weights_of(opened.card) | {"interpolate": asked}
    pictures.save_strips(out, strips, note, generated)
    typer.echo(f"{out}: " + "; ".join(names))


def _check_ends(pairs: Path | None, faces: tuple[str | None, str | None], way: str) -> None:
    from mien.edit.interpolate import WAYS

    if way not in WAYS:
        raise UnknownName("way in --way:", way, WAYS)
    if (pairs is None) == (None in faces):
        raise BadInput("give two faces (photos or seeds), or --pairs FOLDER, not both")
    for face in filter(_is_seed, faces):
        seed, _, number = str(face).partition(":")
        if len(seed) > 19 or int(seed) > options.SEEDS:  # int() itself refuses very long texts
            raise BadInput(f"{seed:.40}: a seed is a number from 0 to {options.SEEDS}")
        if len(number) > 19 or int(number or 0) >= options.MOST:
            raise BadInput(f"{seed}:{number:.40}: a seed's faces have numbers below {options.MOST}")


def _strips(space: Space, ends: list[Latent], steps: int, way: str) -> np.ndarray:
    """float32 [R, steps, 3, S, S]: the way between each two of `ends`."""
    import numpy as np

    from mien.edit.interpolate import interpolate as path_between

    pairs = [ends[start : start + 2] for start in range(0, len(ends), 2)]
    ways = [path_between(one, other, steps, way) for one, other in pairs]
    return np.stack([space.decode(latent) for latent in ways])


def _drawn(
    folder: Path, space: Space, choice: tuple[str, str, int]
) -> tuple[list[Latent], list[str], bool]:
    """Both ends of the three pairings in turn, their names, and that photos may be in them."""
    import numpy as np

    from mien.edit.interpolate import pairings

    attribute, gender, seed = choice
    labels, read = _faces_of(folder, space)
    options.check_names([attribute], labels.names, "--attribute")
    options.check_names([gender], labels.names, "--gender")
    pairs = pairings(labels, attribute, gender, seed)
    rows = [row for pair in pairs for row in (pair.first, pair.second)]
    return [read(np.array([row])) for row in rows], [pair.name for pair in pairs], False


def _faces_of(folder: Path, space: Space) -> tuple[Attributes, Callable[[np.ndarray], Latent]]:
    """(attributes, function from rows to latents) of a gallery or of CelebA's test split."""
    if (folder / "list_attr_celeba.txt").is_file():
        from mien.faces.cache import load_crop, to_unit
        from mien.faces.celeba import read_celeba

        data = read_celeba(folder, "test")

        def encode(rows: np.ndarray) -> Latent:
            crop = load_crop(data.paths[int(rows[0])], space.size)
            return space.encode(to_unit(crop[None]))

        return data.attributes, encode
    from mien.search.gallery import Gallery

    gallery = Gallery.open(folder)
    return gallery.attributes, lambda rows: gallery.latent[rows]


def _is_seed(text: str | None) -> bool:
    parts = str(text).split(":")
    return len(parts) <= 2 and all(part.isascii() and part.isdigit() for part in parts)


def _end(text: str, space: Space, truncation: float, aligned: bool) -> Latent:
    """The latent (N = 1) of a photo, or of a seed's face."""
    if not _is_seed(text):
        portrait = options.portrait_of(Path(text), space.card, 1, aligned)
        return space.encode(portrait.face.pixels[None])
    seed, _, number = text.partition(":")
    place = int(number or 0)
    return space.sample(place + 1, int(seed), truncation)[place : place + 1]

"""`mien attributes`: what the recogniser sees in a face."""

from __future__ import annotations

from typing import Annotated

import typer

from mien.cli import options, output

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Name = Annotated[str, typer.Option("--recogniser", metavar="MODEL", help="Which recogniser.")]


def attributes(
    photo: options.Photo,
    json: Json = False,
    number: options.Number = 1,
    aligned: options.Aligned = False,
    recogniser: Name = "recogniser",
) -> None:
    """Print the probability of every attribute of the face in PHOTO."""
    from mien.checkpoint import find_model, load_card

    portrait = options.portrait_of(photo, load_card(find_model(recogniser)), number, aligned)
    from mien.recognise.recogniser import open_recogniser  # torch, after what can be refused

    opened = open_recogniser(recogniser)
    row = opened.probabilities(portrait.face.pixels[None])[0]
    found = {name: round(float(p), 6) for name, p in zip(opened.names, row, strict=True)}
    if json:
        output.print_json({"attributes": found})
        return
    ranked = sorted(found.items(), key=lambda pair: -pair[1])
    output.print_table(
        photo.name, ("attribute", "probability"), [(n, f"{p:.3f}") for n, p in ranked]
    )

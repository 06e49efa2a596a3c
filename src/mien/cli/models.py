"""`mien models`: what is embedded, and the card of a model."""

from __future__ import annotations

from typing import Annotated

import typer

from mien.cli import output

app = typer.Typer(no_args_is_help=True, help="List the embedded models and print their cards.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
COLUMNS = ("name", "kind", "architecture", "licence")


@app.command("list")
def list_models(json: Json = False) -> None:
    """List the embedded models."""
    from mien.checkpoint import assets, embedded, load_card

    cards = [load_card(assets() / name) for name in embedded()]
    rows = [tuple(str(card.get(column, "")) for column in COLUMNS) for card in cards]
    if json:
        output.print_json({"models": [dict(zip(COLUMNS, row, strict=True)) for row in rows]})
        return
    output.print_table("Embedded models", COLUMNS, rows)


@app.command("info")
def info(
    model: Annotated[str, typer.Argument(help="Name of an embedded model, or a model folder.")],
) -> None:
    """Print the card of MODEL as JSON: shapes, data, licence, recipe, metrics."""
    from mien.checkpoint import find_model, load_card

    output.print_json(load_card(find_model(model)))

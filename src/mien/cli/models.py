"""`mien models`: embedded and published models, their cards, fetching, importing, exporting."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli import output

app = typer.Typer(no_args_is_help=True, help="List, fetch, import and export models.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
File = Annotated[Path, typer.Argument(help="A published checkpoint.", show_default=False)]
Folder = Annotated[Path, typer.Option("-o", "--out", help="Folder to write the model to.")]
Sha256 = Annotated[
    str, typer.Option("--sha256", metavar="HEX", help="Checksum the file must have.")
]
COLUMNS = ("name", "kind", "architecture", "licence")
PUBLISHED = ("name", "what, and its licence")
MEGABYTE = 1 << 20


@app.command("list")
def list_models(json: Json = False) -> None:
    """List the embedded models and the published ones that mien can read."""
    from mien.checkpoint import assets, embedded, load_card
    from mien.published.catalogue import CATALOGUE, described

    cards = [load_card(assets() / name) for name in embedded()]
    rows = [tuple(str(card.get(column, "")) for column in COLUMNS) for card in cards]
    if json:
        held = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        output.print_json({"models": held, "published": [described(e) for e in CATALOGUE]})
        return
    output.print_table("Embedded models", COLUMNS, rows)
    typer.echo()
    known = [(entry.name, f"{entry.what}. {entry.licence}.") for entry in CATALOGUE]
    output.print_table("Published models, fetched with `mien models pull`", PUBLISHED, known)


@app.command("info")
def info(
    model: Annotated[
        str, typer.Argument(help="Name of an embedded or published model, or a model folder.")
    ],
) -> None:
    """Print the card of MODEL as JSON, or what is known of a published one."""
    from mien.checkpoint import embedded, find_model, load_card
    from mien.errors import UnknownName
    from mien.published.catalogue import CATALOGUE, described, find_entry

    names = [entry.name for entry in CATALOGUE]
    try:
        card = load_card(find_model(model))
    except UnknownName:
        if model not in names:
            raise UnknownName("model", model, [*embedded(), *names]) from None
        output.print_json(described(find_entry(model)))
        return
    output.print_json(card)


@app.command("pull")
def pull(
    model: Annotated[str, typer.Argument(help="Name of a published model, or an address.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="File or folder; here if left out.")
    ] = None,
    sha256: Sha256 = "",
) -> None:
    """Fetch the file of a published model; a broken download is continued."""
    from mien.published.pull import order
    from mien.published.pull import pull as fetch

    wanted = order(model, out, sha256)
    with output.progress_bar(f"fetching {wanted.path.name}, MB") as progress:
        pulled = fetch(
            wanted, lambda done, total, text: progress(done // MEGABYTE, total // MEGABYTE, text)
        )
    if not pulled.checked:
        typer.echo(f"mien: no checksum is known; its sha256 is {pulled.sha256}", err=True)
    typer.echo(str(pulled.path))


@app.command("import")
def import_(
    file: File,
    out: Folder,
    name: Annotated[
        str, typer.Option(help="Name of the model or direction; that of folder or file.")
    ] = "",
    frame: Annotated[
        str, typer.Option(help="How its training faces lay: ffhq, or celeba as a translator's.")
    ] = "",
    licence: Annotated[str, typer.Option(help="Its licence, if the catalogue has none.")] = "",
    labels: Annotated[
        str, typer.Option(metavar="A,B,...", help="Names of a translator's labels, in order.")
    ] = "",
    model: Annotated[
        str, typer.Option("--for", metavar="MODEL", help="Model that directions belong to.")
    ] = "",
    latent: Annotated[
        str, typer.Option("--in", metavar="SPACE", help="Directions: found in z, w or w+.")
    ] = "",
) -> None:
    """Read a published FILE without running anything in it, and write a model folder."""
    from mien.published import DIRECTIONS, detect, import_model

    kind = detect(file)
    if kind in DIRECTIONS:
        _import_directions(file, out, (name, model, latent))
        return
    card = import_model(file, out, name, frame, licence, labels.split(",") if labels else ())
    typer.echo(f"{out}: {card['name']}, {card['architecture']} from {kind.value}")


@app.command("export")
def export(
    model: Annotated[str, typer.Argument(help="A StyleGAN2: name or model folder.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="File to write.")],
    layout: Annotated[str, typer.Option(help="rosinality, nvidia or genforce.")] = "rosinality",
) -> None:
    """Write MODEL as a torch file in a published layout, for other programs."""
    from mien.published import export_model

    export_model(model, out, layout)
    typer.echo(str(out))


def _import_directions(file: Path, out: Path, asked: tuple[str, str, str]) -> None:
    from mien.checkpoint import check_free
    from mien.directions import ImportOptions, import_directions, save_directions
    from mien.errors import BadInput
    from mien.generators import open_space

    name, model, latent = asked
    if not model or latent not in ("z", "w", "w+"):
        raise BadInput(
            f"{file} holds directions and does not say of what; give their model with --for MODEL "
            "and the space they were found in with --in z, --in w or --in w+"
        )
    check_free(out)
    found = import_directions(file, open_space(model), ImportOptions(latent, name))
    save_directions(out, found)
    typer.echo(f"{out}: {len(found.names)} directions in {found.space} of {found.model}")

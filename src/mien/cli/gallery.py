"""`mien gallery`: build, extend, shrink and describe a folder of faces to search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import options, output
from mien.errors import BadInput

if TYPE_CHECKING:
    from mien.search._index_card import IndexCard
    from mien.search.build import BuildOptions, BuildReport
    from mien.search.bulk import Models, Runner
    from mien.types import Attributes

app = typer.Typer(no_args_is_help=True, help="Build, extend, shrink and describe galleries.")
Folder = Annotated[Path, typer.Argument(help="The gallery's folder.", show_default=False)]
Photos = Annotated[Path, typer.Argument(help="Folder of photos.", show_default=False)]
Csv = Annotated[
    Path | None,
    typer.Option("--csv", help="Known attributes: file,Name,... with 1, -1, 0 or blank."),
]
Split = Annotated[
    str | None,
    typer.Option("--split", help="PHOTOS is CelebA; take its train, valid or test split."),
]
Recognise = Annotated[
    bool, typer.Option("--recognise", help="Let the recogniser fill in unknown attributes.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("build")
def build(
    gallery: Folder,
    photos: Photos,
    csv: Csv = None,
    split: Split = None,
    recognise: Recognise = False,
    aligned: options.Aligned = False,
    space: options.Model = options.SPACE,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Processes that encode a shard each.", metavar="N"),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option("--ray", metavar="ADDRESS", help="Encode on Ray: local, auto or HOST:PORT."),
    ] = None,
) -> None:
    """Encode the faces of a folder of photos into GALLERY; run again, it goes on and adds new ones.

    Photos that cannot be used are listed and stop nothing.
    """
    from mien.search.build import BuildOptions

    if workers is not None and ray is not None:
        raise BadInput("--workers and --ray exclude each other; Ray has workers of its own")
    paths, known = _labelled(photos, csv, split)
    how = BuildOptions(root=photos, aligned=aligned or split is not None, attributes=known)
    if workers is None and ray is None:
        _fill(gallery, paths, how, space, recognise)
    else:
        _fill_in_bulk(gallery, paths, how, _models(space, recognise), _runner(workers, ray))


@app.command("add")
def add(
    gallery: Folder,
    photos: Annotated[list[Path], typer.Argument(help="Photos to add.", show_default=False)],
    recognise: Recognise = False,
    aligned: options.Aligned = False,
    space: options.Model = options.SPACE,
) -> None:
    """Add the largest face of each photo to an existing GALLERY; ids are the paths as given."""
    from mien.search.build import BuildOptions
    from mien.search.gallery import Gallery

    Gallery.open(gallery)
    for photo in photos:
        if not photo.is_file():
            raise BadInput(f"{photo} is not a file; for a folder use mien gallery build")
    _fill(gallery, photos, BuildOptions(aligned=aligned), space, recognise)


@app.command("sample")
def sample(
    gallery: Folder,
    count: Annotated[
        int, typer.Option("--count", min=1, max=options.FACES, help="Faces to draw.")
    ] = 1000,
    seed: options.Seed = 0,
    space: options.Model = options.SPACE,
) -> None:
    """Fill GALLERY with faces drawn from the latent space, with recognised attributes."""
    from mien.generators import open_space
    from mien.recognise.any_size import AnySize
    from mien.recognise.recogniser import open_recogniser
    from mien.search.build import BuildOptions, sample_gallery

    how = BuildOptions(recogniser=AnySize(open_recogniser()))
    report = sample_gallery(gallery, count, open_space(space), how, seed)
    typer.echo(f"{gallery}: {report.added} faces")


def _labelled(
    photos: Path, csv: Path | None, split: str | None
) -> tuple[Sequence[Path], Attributes]:
    from mien.faces.celeba import read_celeba
    from mien.faces.folder import read_folder

    if split is None:
        return read_folder(photos, csv)
    if csv is not None:
        raise BadInput("--csv and --split exclude each other; CelebA brings its attributes")
    data = read_celeba(photos, split)
    return data.paths, data.attributes


def _fill(
    gallery: Path, paths: Sequence[Path], how: BuildOptions, space: str, recognise: bool
) -> None:
    from mien.generators import open_space
    from mien.search.build import build_gallery

    if recognise:
        from mien.recognise.any_size import AnySize
        from mien.recognise.recogniser import open_recogniser

        how = replace(how, recogniser=AnySize(open_recogniser()))
    with output.progress_bar("encoding") as progress:
        report = build_gallery(gallery, paths, open_space(space), how, progress)
    _tell(gallery, report)


def _models(space: str, recognise: bool) -> Models:
    """What workers open, wherever they are started."""
    from mien.checkpoint import find_model
    from mien.search.bulk import Models

    is_folder = find_model(space) == Path(space)
    return Models(str(Path(space).absolute()) if is_folder else space, recognise)


def _runner(workers: int | None, ray: str | None) -> Runner:
    from mien.search import bulk

    return bulk.in_processes(workers or 1) if ray is None else bulk.on_ray(ray)


def _fill_in_bulk(
    gallery: Path, paths: Sequence[Path], how: BuildOptions, models: Models, runner: Runner
) -> None:
    from mien.search.bulk import build_in_bulk

    with output.progress_bar("encoding") as progress:
        report = build_in_bulk(gallery, paths, models, runner, how, progress)
    _tell(gallery, report)


def _tell(gallery: Path, report: BuildReport) -> None:
    for _, sentence in report.failures:
        typer.echo(f"mien: left out: {sentence}", err=True)
    if report.moved:
        typer.echo(
            f"mien: {report.moved} of the photos that were there already lay elsewhere, where they "
            "are no more; if these are other photos, build them into another gallery",
            err=True,
        )
    skipped = f", {report.skipped} were there already" if report.skipped else ""
    failed = f", {len(report.failures)} could not be used" if report.failures else ""
    typer.echo(f"{gallery}: {report.added} faces added{skipped}{failed}")


@app.command("remove")
def remove(
    gallery: Folder,
    ids: Annotated[list[str], typer.Argument(help="Ids of faces.", show_default=False)],
) -> None:
    """Delete faces from GALLERY, from the disk and for good."""
    from mien.search.gallery import Gallery

    opened = Gallery.open(gallery)
    opened.remove(ids)
    typer.echo(f"{gallery}: removed {len(set(ids))}, {len(opened)} faces left")


@app.command("compress")
def compress(
    gallery: Folder,
    basis: Annotated[str, typer.Option("--basis", metavar="MODEL")] = options.BASIS,
    size: Annotated[int, typer.Option("--bytes", help="Of memory a face may take.")] = 1000,
    kind: Annotated[str, typer.Option("--kind", help="int8, or float16 codes.")] = "int8",
) -> None:
    """Make codes of GALLERY's faces, so that mien find with BASIS reads few latents in full.

    For large galleries; answers stay the same. Run again after adding many faces.
    """
    from mien.directions import open_directions
    from mien.search.codes import CodeOptions
    from mien.search.gallery import Gallery
    from mien.search.query import check_basis
    from mien.types import check_same_space

    directions = open_directions(basis)
    check_basis(directions)
    opened = Gallery.open(gallery)
    check_same_space(
        "the basis", (directions.space, directions.model), str(gallery),
        (opened.space, opened.mark),
    )  # fmt: skip
    with output.progress_bar("compressing") as progress:
        opened.compress(directions.vectors, CodeOptions(kind=kind, size=size), progress)
    typer.echo(f"{gallery}: codes of {len(opened)} faces along {basis}")


@app.command("info")
def info(gallery: Folder, json: Json = False) -> None:
    """Print how many faces GALLERY holds, in which space, and what is known of them."""
    from dataclasses import asdict

    from mien.search.gallery import Gallery

    found = Gallery.open(gallery).info()
    if json:
        output.print_json(asdict(found))
        return
    rows = [
        ("faces", str(found.count)), ("space", f"{found.space} of {found.mark}"),
        ("latent", " x ".join(map(str, found.shape))), ("on disk", f"{found.bytes / 1e6:.1f} MB"),
        ("attributes known", str(sum(count > 0 for count in found.known.values()))),
    ]  # fmt: skip
    if found.index is not None and found.index.collection:
        rows.append(("index", describe_index(found.index)))
    output.print_table(str(gallery), ("", ""), rows)


def describe_index(card: IndexCard) -> str:
    """Where an index lies, what it holds, and how much of the exact store's hits it finds."""
    recall = ", ".join(f"{part:.3f} {name}" for name, part in card.recall.items())
    return f"{card.faces} faces in {card.uri} ({card.kind}), recall@10 {recall}"

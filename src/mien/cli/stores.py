"""`mien gallery forget|export|import|index`: what leaves a gallery, or goes to another store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import options, output
from mien.cli.gallery import Folder, Json, describe_index
from mien.errors import BadInput, MienError

if TYPE_CHECKING:
    from mien.search.forget import Forgotten
    from mien.search.gallery import Gallery

SHOWN = 10  # traces named before "and more"
LOOSEST = 0.85  # least --threshold; 94 % of the pairs of the embedded gallery's faces exceed it


def forget(
    gallery: Folder,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids.", show_default=False)] = None,
    person: Annotated[
        str | None,
        typer.Option("--person", metavar="PHOTO|ID", help="All faces that look like this person."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="Least cosine of two photos of one person.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Forget the faces --person lists.")] = False,
    json: Json = False,
    number: options.Number = 1,
    aligned: options.Aligned = False,
    space: options.Model = options.SPACE,
) -> None:
    """Delete faces from GALLERY and prove it: every file of its folder is searched for them.

    Exits with 2 when an id, path, thumbnail, latent or code of them is found.
    Example: mien gallery forget people --person me.jpg --yes
    """
    from mien.search.forget import forget as forget_faces
    from mien.search.gallery import Gallery

    if bool(ids) == (person is not None):
        raise BadInput("give ids of faces to forget, or --person; one of the two")
    least = _least(threshold, person)
    opened = Gallery.open(gallery)
    alike: dict[str, float] = {}
    if person is not None:
        face = _thumbnail(opened, person, number, aligned, space)
        alike = _alike(opened, face, least)
        if not (yes and alike):
            _list(person, alike, json, least)
            return
    with output.progress_bar("forgetting") as progress:
        done = forget_faces(opened, ids or list(alike), progress)
    _report(gallery, done, json)


def export(
    gallery: Folder,
    out: Annotated[Path, typer.Option("-o", "--out", help="File to write, .zip.")],
    thumbnails: Annotated[bool, typer.Option(help="Also the faces' pictures.")] = True,
) -> None:
    """Write GALLERY's faces to one file of plain parts: latents.npy, faces.jsonl, thumbnails."""
    from mien.search.exchange import export_gallery
    from mien.search.gallery import Gallery

    opened = Gallery.open(gallery)
    with output.progress_bar("exporting") as progress:
        export_gallery(opened, out, thumbnails, progress)
    typer.echo(f"{out}: {len(opened)} faces, {out.stat().st_size / 1e6:.1f} MB")


def import_(
    gallery: Folder,
    source: Annotated[Path, typer.Argument(help="What export wrote, packed or unpacked.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Exchange faces that are there already.")
    ] = False,
) -> None:
    """Add exported faces to GALLERY without encoding them again; run again, it goes on."""
    from mien.search.exchange import import_gallery

    with output.progress_bar("importing") as progress:
        done = import_gallery(gallery, source, replace, progress)
    skipped = f", {done.skipped} were there already" if done.skipped else ""
    typer.echo(f"{gallery}: {done.added} faces added{skipped}")


def index(
    gallery: Folder,
    uri: Annotated[
        str | None,
        typer.Option("--uri", help="FILE.db, embedded, or http://HOST:PORT of a Milvus server."),
    ] = None,
    basis: Annotated[str, typer.Option("--basis", metavar="MODEL")] = options.BASIS,
    kind: Annotated[str, typer.Option("--kind", help="HNSW, a graph, or FLAT, a scan.")] = "HNSW",
    drop: Annotated[bool, typer.Option("--drop", help="Take the index out of its store.")] = False,
) -> None:
    """Index GALLERY's faces in Milvus, so that mien find --index with BASIS asks it first.

    For galleries that outgrow one machine's memory. The folder stays what counts; run again after
    adding many faces. Example: mien gallery index people --uri people.db
    """
    from mien.directions import open_directions
    from mien.search._index_card import read_card
    from mien.search.gallery import Gallery
    from mien.search.indexing import build_index, drop_index

    opened = Gallery.open(gallery)
    if drop:
        drop_index(opened.folder)
        typer.echo(f"{gallery}: no index")
        return
    known = read_card(opened.folder)
    where = uri or (known.uri if known else "")
    if not where:
        raise BadInput("give --uri, a file that ends with .db or http://HOST:PORT")
    with output.progress_bar("indexing") as progress:
        card = build_index(opened, open_directions(basis), where, kind, progress)
    typer.echo(f"{gallery}: {describe_index(card)}")


def _thumbnail(gallery: Gallery, person: str, number: int, aligned: bool, space: str) -> bytes:
    """The face of an id or of a photo, as the gallery would store it."""
    from mien.checkpoint import mark, space_card
    from mien.search.thumbnail import to_thumbnail

    card = space_card(space)
    if mark(card) != gallery.mark:
        raise BadInput(f"{gallery.folder} holds faces of {gallery.mark}; give --space with it")
    if card["input"]["frame"] != "celeba":
        raise BadInput(f"persons are compared in CelebA's frame, {space} has another; give ids")
    if person in gallery:
        return gallery.thumbnail(person)
    portrait = options.portrait_of(Path(person), card, number, aligned)
    return to_thumbnail(portrait.face.pixels)


def _least(threshold: float | None, person: str | None) -> float:
    """The least cosine of two photos of one person; BadInput where it would name everybody."""
    from mien.recognise.identity import SAME

    if threshold is None:
        return SAME
    if person is None:
        raise BadInput("--threshold belongs to --person; leave it out when ids are given")
    if not LOOSEST <= threshold <= 1:  # nan is refused, too
        raise BadInput(
            f"--threshold {threshold:g}: give a cosine from {LOOSEST} to 1; below it most "
            f"different people are alike, {SAME} is the default"
        )
    return threshold


def _alike(gallery: Gallery, face: bytes, least: float) -> dict[str, float]:
    from mien.search.forget import same_person

    with output.progress_bar("looking") as progress:
        return same_person(gallery, face, least, progress)


def _list(person: str, alike: Mapping[str, float], json: bool, least: float) -> None:
    if json:
        faces = [{"id": name, "cosine": cosine} for name, cosine in alike.items()]
        output.print_json({"person": person, "faces": faces, "forgotten": 0})
        return
    if not alike:
        typer.echo(f"nobody is like {person} (no cosine of {least:g} or more); nothing to forget")
        return
    rows = [(name, f"{cosine:.3f}") for name, cosine in alike.items()]
    output.print_table(f"May be the person of {person}", ("id", "cosine"), rows)
    typer.echo("nothing is forgotten yet; add --yes to forget these, or give the ids of some")


def _report(gallery: Path, done: Forgotten, json: bool) -> None:
    found = done.searched
    if json:
        proof = {"files": found.files, "bytes": found.bytes, "left": list(map(asdict, found.left))}
        told = {"forgotten": list(done.ids), "kept": done.kept, "index_dropped": done.dropped}
        output.print_json(told | proof)
    else:
        typer.echo(
            f"{gallery}: forgot {len(done.ids)}, {done.kept} faces left; searched {found.files} "
            f"files ({found.bytes / 1e6:.1f} MB) for their ids, paths, thumbnails, latents, codes"
        )
    if not done.proven:
        traces = [f"{left.what} of {left.face} in {left.file}" for left in found.left[:SHOWN]]
        more = ", and more" if len(found.left) > SHOWN else ""
        raise MienError(
            f"{gallery} still holds {', '.join(traces)}{more}; forget the face that shares it, "
            "or delete that file"
        )
    if not json:
        again = "; its index was dropped, make it again with mien gallery index"
        typer.echo("nothing of them is left" + (again if done.dropped else ""))

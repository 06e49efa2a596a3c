"""Lay a gallery into Milvus, measure what the index finds, and take it out again.

An index is built beside the one before and takes its place by one rename of
index.json; what a dead build left over goes with the next.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.errors import BadInput, UnknownName
from mien.search import exact
from mien.search._code_files import Progress
from mien.search._index_card import IndexCard, read_card, write_card
from mien.search._milvus_client import connect, digest, local_folder, numbers, said
from mien.search._shard import Shard
from mien.search.gallery import Gallery
from mien.search.lift import Lift, fit_lift
from mien.search.milvus import MilvusIndex
from mien.search.query import check_basis
from mien.types import Directions, Latent, Query, check_same_space

KINDS: dict[str, dict[str, int]] = {"HNSW": {"M": 32, "efConstruction": 200}, "FLAT": {}}
WIDEST = 32_768  # numbers of a vector: Milvus's limit
ASKED, HITS, STRESS = 32, 10, 30.0  # queries that recall is measured by, their k, their weight


def build_index(
    gallery: Gallery,
    directions: Directions,
    uri: str,
    kind: str = "HNSW",
    progress: Progress | None = None,
) -> IndexCard:
    """Index all faces along a basis in the Milvus store at `uri`, in place of an older index.

    uri: a path that ends with .db, or http://HOST:PORT. kind: "HNSW", a graph, or
    "FLAT", a scan. progress(step, steps, text) is called a shard. Raises BadInput
    for an empty gallery, latents too wide for Milvus, directions that are no basis,
    or a store that cannot be reached; UnknownName for another kind; SpaceMismatch
    for directions of another space; BadGallery while another process writes.
    """
    check_basis(directions)
    check_same_space(
        "the basis", (directions.space, directions.model), str(gallery.folder),
        (gallery.space, gallery.mark),
    )  # fmt: skip
    if kind not in KINDS:
        raise UnknownName("kind of index", kind, KINDS)
    folder = local_folder(uri)
    uri = uri if folder is None else str(folder.absolute())
    with gallery.writing():
        return _build(gallery, directions, uri, kind, progress)


def _build(
    gallery: Gallery, directions: Directions, uri: str, kind: str, progress: Progress | None
) -> IndexCard:
    if not gallery.shards:
        raise BadInput(f"{gallery.folder} has no faces to index; add some first")
    client = connect(uri)
    old = _known(gallery.folder, uri, kind)
    lift = fit_lift(gallery.shards, directions.double)
    name = f"{old.owner}_{'b' if old.collection.endswith('_a') else 'a'}"
    with said(uri):
        _drop(client, name)
        _create(client, name, lift.width, kind)
        _insert(client, name, gallery.shards, lift, progress)
    card = _laid(replace(old, kind=kind, collection=name), gallery, lift)
    card = replace(card, recall=measure(MilvusIndex(gallery, card), directions))
    write_card(gallery.folder, card)
    with said(uri):
        _drop(client, old.owner, keep=name)
    return card


def _known(folder: Path, uri: str, kind: str) -> IndexCard:
    """The card of an index at `uri`; one elsewhere is dropped.

    Written before anything lies in the store, so that a dead build's leavings have an owner.
    """
    card = read_card(folder)
    if card is not None and card.uri == uri:
        return card
    drop_index(folder)
    card = IndexCard(uri, kind, f"mien_{secrets.token_hex(8)}")
    write_card(folder, card)
    return card


def _laid(card: IndexCard, gallery: Gallery, lift: Lift) -> IndexCard:
    """The card with what was laid into its collection, and how."""
    return replace(
        card, basis=digest(lift.vectors), faces=len(gallery),
        shards=tuple(shard.path.name for shard in gallery.shards),
        centre=tuple(lift.centre.tolist()), scales=lift.scales, radius=lift.radius,
    )  # fmt: skip


def drop_index(folder: Path) -> None:
    """Take a gallery's index out of its store; nothing happens when it has none.

    An embedded store deletes its files at once, a cluster by its own garbage
    collection. Raises BadInput when the store cannot be reached.
    """
    card = read_card(folder)
    if card is not None:
        client = connect(card.uri)
        with said(card.uri):
            _drop(client, card.owner)
        write_card(folder, IndexCard(card.uri, card.kind, card.owner))


def stored_vectors(gallery: Gallery, names: Sequence[str]) -> list[tuple[str, np.ndarray]]:
    """(id, float32 [width]) of the faces that a gallery's index holds."""
    card = read_card(gallery.folder)
    if card is None or not card.collection:
        return []
    client, found = connect(card.uri), []
    for shard in gallery.shards:
        here = {int(numbers(shard)[shard.places[n]]): n for n in names if n in shard.places}
        if here:
            with said(card.uri):
                client.load_collection(card.collection)
                rows = client.get(card.collection, list(here), output_fields=["vector"])
            found += [(here[row["number"]], np.asarray(row["vector"], np.float32)) for row in rows]
    return found


def measure(index: MilvusIndex, directions: Directions) -> dict[str, float]:
    """Part of the exact store's hits that the index's answers hold, for two kinds of queries.

    "plain": faces of the gallery; "adjusted": the same with one attribute at
    presence 1 and weight 30. 10 hits each, of up to 32 faces.
    """
    gallery = index.gallery
    count = min(ASKED, len(gallery))
    rows = np.linspace(0, len(gallery) - 1, count).astype(np.int64)
    values = gallery.rows(rows).astype(np.float32).reshape(count, *gallery.shape)
    latents = Latent(values, gallery.space, gallery.mark)
    k = min(HITS, len(gallery))
    plain = [Query(latents[row : row + 1], k=k) for row in range(count)]
    names = [directions.names[row % len(directions.names)] for row in range(count)]
    adjusted = [
        replace(query, adjust={name: 1.0}, prefer={name: STRESS})
        for query, name in zip(plain, names, strict=True)
    ]
    return {
        "plain": _recall(index, plain, directions),
        "adjusted": _recall(index, adjusted, directions),
    }


def _recall(index: MilvusIndex, queries: Sequence[Query], directions: Directions) -> float:
    got = [answer.hits for answer in index.search_many(queries, directions)]
    want = [answer.hits for answer in exact.search_many(index.gallery, queries, directions)]
    found = sum(len({h.id for h in g} & {h.id for h in w}) for g, w in zip(got, want, strict=True))
    return found / sum(map(len, want))


def _create(client: Any, name: str, width: int, kind: str) -> None:
    from pymilvus import DataType

    if width > WIDEST:
        raise BadInput(
            f"a face would be {width} numbers wide, Milvus takes {WIDEST}; "
            "search this gallery by mien gallery compress"
        )
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("number", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=width)
    schema.add_field("known", DataType.JSON)
    how = client.prepare_index_params()
    how.add_index("vector", index_type=kind, metric_type="IP", params=KINDS[kind])
    client.create_collection(name, schema=schema, index_params=how, consistency_level="Strong")


def _insert(
    client: Any, name: str, shards: Sequence[Shard], lift: Lift, progress: Progress | None
) -> None:
    for step, shard in enumerate(shards):
        if progress is not None:
            progress(step, len(shards), shard.path.name)
        names = shard.attributes.names
        known = [dict(zip(names, row, strict=True)) for row in shard.attributes.table.tolist()]
        faces = zip(numbers(shard).tolist(), lift.faces(shard.mapped), known, strict=True)
        rows = [{"number": n, "vector": vector, "known": k} for n, vector, k in faces]
        client.insert(name, rows)
    client.flush(name)
    client.load_collection(name)


def _drop(client: Any, prefix: str, keep: str = "") -> None:
    for name in client.list_collections():
        if name.startswith(prefix) and name != keep:
            client.drop_collection(name)

"""Do edits work? Success by an independent judge, identity and other attributes kept.

For each attribute, test photos that lack it (or have it, where the edit takes
it away) are encoded, edited at one amount and decoded. The judge, which took no
part in fitting or calibrating anything, says whether the attribute is there
now; identity is the cosine between the edited face and the plain
reconstruction, against the threshold that 1 % of different-person pairs of the
test photos exceed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mien.checks import check_numbers
from mien.directions import edit
from mien.faces.cache import to_bytes
from mien.files import atomic_open
from mien.generators.contract import Space
from mien.measure.identity import separation
from mien.recognise import identity
from mien.recognise.recogniser import Recogniser
from mien.studies._split import Progress, Split, embeddings, encode_split
from mien.studies._table import markdown, output_folder, write_csv
from mien.types import Directions

EDITS = (
    ("Smiling", 1), ("Eyeglasses", 1), ("Male", 1), ("Young", 0), ("Blond_Hair", 1),
    ("Black_Hair", 1), ("Bangs", 1), ("Heavy_Makeup", 1), ("Mouth_Slightly_Open", 1),
    ("No_Beard", 0),
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What to measure."""

    edits: Sequence[tuple[str, int]] = EDITS  # attribute, 1 = add it, 0 = take it away
    faces: int = 300  # photos an attribute
    amount: float = 1.0  # in calibrated units
    seed: int = 0  # of the choice of photos
    strips: int = 5  # faces drawn for every attribute

    def __post_init__(self) -> None:
        check_numbers(self, {"amount": -math.inf})


@dataclass(frozen=True)
class Row:
    """One attribute's result; shares in [0, 1]."""

    attribute: str
    wanted: int
    faces: int
    before: float  # share the judge calls edited already in the plain reconstruction
    success: float  # share the judge calls edited after the edit
    identity_kept: float  # share with a cosine above the different-person threshold
    identity: float  # mean cosine to the plain reconstruction
    others_kept: float  # share of the judge's other 39 readings that stay as they were


@dataclass(frozen=True)
class Models:
    """What takes part."""

    space: Space
    directions: Directions
    judge: Recogniser


def run(
    root: Path, models: Models, options: Options, folder: Path, progress: Progress
) -> list[Row]:
    """Measure, and write editing.md, editing.csv and one strip picture an attribute.

    root: a CelebA folder. The strips show test photos: keep them where the
    photos may be kept.
    """
    output_folder(folder)
    split = encode_split(root, "test", models.space, progress)
    people = split.data.identities
    threshold = separation(embeddings(split, progress), people).threshold
    rows = []
    for number, (name, wanted) in enumerate(options.edits):
        chosen = choose(split, name, wanted, options)
        row, picture = _measure(split, chosen, (name, wanted), models, options, threshold)
        rows.append(row)
        with atomic_open(folder / f"{name}.png") as handle:
            picture.save(handle, "PNG")
        progress(number + 1, len(options.edits), f"edit {name}")
    table = [asdict(row) for row in rows]
    write_csv(folder / "editing.csv", table)
    text = f"Identity threshold (FAR 1e-2): {threshold:.3f}\n\n{markdown(table)}\n"
    (folder / "editing.md").write_text(text, encoding="utf-8")
    return rows


def choose(split: Split, name: str, wanted: int, options: Options) -> np.ndarray:
    """Rows of photos labelled with the opposite of `wanted`, drawn with the options' seed."""
    lacking = np.flatnonzero(split.attributes.column(name) == (-1 if wanted else 1))
    drawn = np.random.default_rng(options.seed).permutation(lacking)[: options.faces]
    return np.sort(drawn)


def _measure(
    split: Split, chosen: np.ndarray, change: tuple[str, int], models: Models, options: Options,
    threshold: float,
) -> tuple[Row, Image.Image]:  # fmt: skip
    name, wanted = change
    latent = split.latent[chosen]
    amount = options.amount if wanted else -options.amount
    plain = models.space.decode(latent)
    edited = models.space.decode(edit(latent, models.directions, {name: amount}))
    before, after = (models.judge.probabilities(faces) > 0.5 for faces in (plain, edited))
    cosine = identity.similarity(identity.embed(plain), identity.embed(edited))
    column = models.judge.names.index(name)
    others = np.delete(before == after, column, axis=1)
    row = Row(
        attribute=name,
        wanted=wanted,
        faces=len(chosen),
        before=float((before[:, column] == wanted).mean()),
        success=float((after[:, column] == wanted).mean()),
        identity_kept=float((cosine > threshold).mean()),
        identity=float(cosine.mean()),
        others_kept=float(others.mean()),
    )
    return row, _strips(split.faces(chosen[: options.strips]), plain, edited)


def _strips(photos: np.ndarray, plain: np.ndarray, edited: np.ndarray) -> Image.Image:
    """Rows of photo, reconstruction, edited face."""
    columns = [to_bytes(faces[: len(photos)]) for faces in (photos, plain, edited)]
    rows = [np.concatenate(row, axis=1) for row in zip(*columns, strict=True)]
    return Image.fromarray(np.concatenate(rows, axis=0))

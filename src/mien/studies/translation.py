"""What translators do to test photos: wishes met, names kept, people kept, and whose suffer.

DLIM2020 judged StarGAN's variants by eye and saw biases: blond reddens lips, grey ages,
hats are recoloured, bald people are given hair. Here every wish is measured for everybody
and for subgroups, by the recogniser and by the judge, and what else a wish moves is a map
of all 40 attributes. Every translator meets the same photos.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mien.checks import check_numbers
from mien.faces.cache import cached_crops, to_bytes, to_unit
from mien.faces.celeba import CelebA, read_celeba
from mien.files import atomic_open
from mien.generators._labels import Part, as_labels
from mien.generators.contract import Translator
from mien.measure.frechet import face_features, frechet_mobilenet, moments_of
from mien.measure.reconstruction import psnr
from mien.measure.translation import kept
from mien.recognise import identity
from mien.recognise.any_size import AnySize
from mien.studies._heatmap import heat_map
from mien.studies._split import Progress
from mien.studies._table import markdown, output_folder, write_csv

EVERYBODY = "everybody"
FEWEST = 5  # faces of a subgroup below which shares say nothing


@dataclass(frozen=True)
class Options:
    """What to measure."""

    photos: int = 500  # of the test split, from its first
    groups: tuple[str, ...] = ("Bald", "Wearing_Hat", "Eyeglasses", "Male", "Pale_Skin")
    each: int = 0  # faces of every group at least: further photos, which count in it alone
    shares: int = 1  # n: rows for every n-th photo too, as `joint` recipes share out photos
    grid: int = 6  # photos that the picture shows
    batch: int = 50  # photos translated at once

    def __post_init__(self) -> None:
        check_numbers(self, {"photos": 2, "each": 0})  # a Frechet distance needs two


@dataclass(frozen=True)
class Row:
    """One wish of one translator for one group; shares in [0, 1]."""

    translator: str
    group: str
    wish: str
    faces: int
    success: float  # share in which the recogniser sees what was asked
    judged: float  # share in which the judge does
    kept: float | None  # share of the other names that the recogniser still sees as in the photo
    identity: float  # mean cosine to the photo


@dataclass(frozen=True)
class Whole:
    """One translator over all wishes, of one group."""

    translator: str
    group: str
    faces: int
    reconstruction: float  # mean absolute change, in [0, 2], after a wish and the way back
    psnr: float  # of the same, dB
    frechet: float  # of all translations to the photos they are of; more for few faces


@dataclass(frozen=True)
class Photos:
    """Test photos: float32 [N, 3, S, S] in [-1, 1], as everybody reads them."""

    data: CelebA
    faces: np.ndarray
    people: np.ndarray  # embeddings [N, E]
    seen: np.ndarray  # the recogniser's probabilities [N, 40]
    judged: np.ndarray  # the judge's
    groups: Mapping[str, np.ndarray]  # which of them are in each

    @property
    def everybody(self) -> np.ndarray:
        """Rows of the photos that stand for all."""
        return self.groups[EVERYBODY]


Readers = tuple[AnySize, AnySize]  # recogniser, judge


def run(
    root: Path, translators: Sequence[Translator], readers: Readers, options: Options,
    folder: Path, progress: Progress,
) -> tuple[list[Row], list[Whole]]:  # fmt: skip
    """Measure; write translation.md and .csv, a map of what wishes move, and a grid.

    root: a CelebA folder. The wishes are those of each translator's data sets, but for
    folders of classes. The grids show test photos: keep them where the photos may be kept.
    Raises UnknownName for a name that CelebA's lists lack.
    """
    output_folder(folder)
    rows: list[Row] = []
    wholes: list[Whole] = []
    for translator in translators:
        photos = read(root, translator.size, readers, options)
        found, whole = measure(translator, photos, readers, options, folder, progress)
        rows += found
        wholes += whole
    write_tables(folder, rows, wholes)
    return rows, wholes


def write_tables(folder: Path, rows: Sequence[Row], wholes: Sequence[Whole]) -> None:
    """Write translation.csv (wishes) and translation.md (translators and wishes)."""
    table, whole_table = [asdict(row) for row in rows], [asdict(whole) for whole in wholes]
    write_csv(folder / "translation.csv", table)
    text = f"{markdown(whole_table)}\n\n{markdown(table)}\n"
    (folder / "translation.md").write_text(text, encoding="utf-8")


def read(root: Path, size: int, readers: Readers, options: Options) -> Photos:
    """The test photos of the CelebA folder `root` that the options ask for."""
    split = read_celeba(root, "test")
    chosen, groups = _groups(split, options)
    data = split.rows(chosen)
    faces = to_unit(cached_crops(data.paths, size))
    seen, judged = (reader.probabilities(faces) for reader in readers)
    return Photos(data, faces, identity.embed(faces), seen, judged, groups)


def measure(
    translator: Translator, photos: Photos, readers: Readers, options: Options, folder: Path,
    progress: Progress,
) -> tuple[list[Row], list[Whole]]:  # fmt: skip
    """One translator: a row a group and wish, and a group; writes `NAME.png` and `NAME-moves.png`.

    photos: of its size. Raises UnknownName for a name that CelebA's lists lack.
    """
    name = str(translator.card["name"])
    wishes = list(_wishes(translator, photos.data))
    rows, moved, sheets, back = [], [], [photos.faces[: options.grid]], _Back()
    for place, wish in enumerate(wishes):
        made = _translated(translator, photos.faces, wish.target, wish.part, options.batch)
        again = _translated(translator, made, wish.labels, wish.part, options.batch)
        back.add(photos.faces, made, again)
        seen, judged = (reader.probabilities(made) for reader in readers)
        moved.append(_moved(judged - photos.judged, wish.target[:, wish.column]))
        people = identity.similarity(photos.people, identity.embed(made))
        outcome = _Outcome(wish, seen, judged, people)
        rows += [
            Row(name, group, wish.name, *outcome.shares(who, photos, readers))
            for group, who in photos.groups.items()
        ]
        sheets.append(made[: options.grid])
        progress(place + 1, len(wishes), f"{name}: {wish.name}")
    _grid(folder / f"{name}.png", sheets)
    heat_map(
        folder / f"{name}-moves.png", np.stack(moved),
        ([wish.name for wish in wishes], readers[1].names),
        f"{name}: change of the judge's probability, of faces that were asked to gain a name",
    )  # fmt: skip
    before = face_features(photos.faces)
    return rows, [
        Whole(name, group, len(who), *back.means(who, before))
        for group, who in photos.groups.items()
    ]


class _Back:
    """What all wishes did to every photo: the ways back, and features of what was drawn."""

    def __init__(self) -> None:
        self.changes: list[np.ndarray] = []  # [N], a wish each
        self.decibels: list[np.ndarray] = []
        self.features: list[np.ndarray] = []  # [N, F]

    def add(self, faces: np.ndarray, made: np.ndarray, again: np.ndarray) -> None:
        """One wish: photos, translations and the way back, [N, 3, S, S] each."""
        self.changes.append(np.abs(again - faces).mean((1, 2, 3)))
        self.decibels.append(psnr(faces, again))
        self.features.append(face_features(made))

    def means(self, who: np.ndarray, photos: np.ndarray) -> tuple[float, float, float]:
        """(change, dB, Frechet distance) of some rows; photos: features [N, F] of all."""
        drawn = np.concatenate([features[who] for features in self.features])
        distance = frechet_mobilenet(moments_of(drawn), moments_of(photos[who]))
        change, decibels = (
            float(np.mean([of[who] for of in kind])) for kind in (self.changes, self.decibels)
        )
        return change, decibels, distance


@dataclass(frozen=True)
class _Wish:
    """One name of one data set: labels [N, c] as they are and as they are asked to be."""

    part: int
    names: tuple[str, ...]
    column: int
    labels: np.ndarray
    target: np.ndarray

    @property
    def name(self) -> str:
        """What is asked for."""
        return self.names[self.column]


def _wishes(translator: Translator, data: CelebA) -> Iterator[_Wish]:
    for number, part in enumerate(translator.vocabulary.parts):
        if part.kind == "binary":
            yield from _of_part(number, part, data)


def _of_part(number: int, part: Part, data: CelebA) -> Iterator[_Wish]:
    columns = [data.attributes.index(one) for one in part.names]
    labels = as_labels(torch.from_numpy(data.attributes.table[:, columns]))
    for column, target in enumerate(part.targets(labels)):
        yield _Wish(number, part.names, column, labels.numpy(), target.numpy())


@dataclass(frozen=True)
class _Outcome:
    """What became of one wish: readings [N, 40] and cosines [N]."""

    wish: _Wish
    seen: np.ndarray
    judged: np.ndarray
    people: np.ndarray

    def shares(
        self, who: np.ndarray, photos: Photos, readers: Readers
    ) -> tuple[int, float, float, float | None, float]:
        """(faces, success, judged, kept, identity) of some rows."""
        wish = self.wish
        own, other = ([reader.names.index(name) for name in wish.names] for reader in readers)
        wanted = wish.target[who, wish.column] > 0.5
        before, after = photos.seen[who][:, own] > 0.5, self.seen[who][:, own] > 0.5
        told = self.judged[who][:, other[wish.column]] > 0.5
        alone = wish.target[who] == wish.labels[who]
        alone[:, wish.column] = False
        return (
            len(who),
            float((after[:, wish.column] == wanted).mean()),
            float((told == wanted).mean()),
            kept(before, after, alone),
            float(self.people[who].mean()),
        )


def _translated(
    translator: Translator, faces: np.ndarray, labels: np.ndarray, part: int, batch: int
) -> np.ndarray:
    starts = range(0, len(faces), batch)
    return np.concatenate(
        [translator.translate(faces[s : s + batch], labels[s : s + batch], part) for s in starts]
    )


def _groups(data: CelebA, options: Options) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Rows of the photos to translate, and which of these everybody, shares and groups are.

    Groups: those with each attribute, and those without Male.
    """
    first = np.arange(min(options.photos, len(data)))
    groups = {EVERYBODY: first}
    if options.shares > 1:
        for number in range(options.shares):
            if len(first[number :: options.shares]) > 1:  # a distance needs two
                groups[f"share {number + 1}"] = first[number :: options.shares]
    for name in options.groups:
        for group, sign in ((name, 1), (f"not {name}", -1)):
            rows = np.flatnonzero(data.attributes.column(name) == sign)
            inside = int((rows < len(first)).sum())
            rows = rows[: max(inside, options.each)]
            if len(rows) >= FEWEST and (sign > 0 or name == "Male"):
                groups[group] = rows
    chosen = np.unique(np.concatenate(list(groups.values())))
    return chosen, {group: np.searchsorted(chosen, rows) for group, rows in groups.items()}


def _moved(change: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Mean change [M] of those that were asked to gain the name; zeros if nobody was."""
    asked = wanted > 0.5
    return np.asarray(change[asked].mean(0)) if asked.any() else np.zeros(change.shape[1])


def _grid(path: Path, columns: Sequence[np.ndarray]) -> None:
    """A row a photo: itself, then every wish."""
    pixels = np.concatenate([np.concatenate(to_bytes(faces)) for faces in columns], axis=1)
    with atomic_open(path) as handle:
        Image.fromarray(pixels).save(handle, "PNG")

"""What translators do to test photos: wishes met, names kept, people kept, and whose suffer.

DLIM2020 judged StarGAN's variants by eye and saw biases: blond reddens lips, grey ages,
hats are recoloured, bald people are given hair. Here every wish is measured for everybody
and for subgroups, by the recogniser and by the judge, and what else a wish moves is a map
of all 40 attributes. Every translator meets the same photos.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mien.faces.cache import cached_crops, to_bytes, to_unit
from mien.faces.celeba import CelebA, read_celeba
from mien.files import atomic_open
from mien.generators._labels import as_labels
from mien.generators.contract import Translator
from mien.measure.frechet import frechet_mobilenet, moments
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
    groups: Sequence[str] = ("Bald", "Wearing_Hat", "Eyeglasses", "Male", "Pale_Skin")
    grid: int = 6  # photos that the picture shows
    batch: int = 50  # photos translated at once


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
    """One translator over all wishes."""

    translator: str
    reconstruction: float  # mean absolute change, in [0, 2], after a wish and the way back
    frechet: float  # of all translations to the photos they are of


@dataclass(frozen=True)
class Photos:
    """Test photos: float32 [N, 3, S, S] in [-1, 1], as everybody reads them."""

    data: CelebA
    faces: np.ndarray
    people: np.ndarray  # embeddings [N, E]
    seen: np.ndarray  # the recogniser's probabilities [N, 40]
    judged: np.ndarray  # the judge's


Readers = tuple[AnySize, AnySize]  # recogniser, judge


def run(
    root: Path, translators: Sequence[Translator], readers: Readers, options: Options,
    folder: Path, progress: Progress,
) -> tuple[list[Row], list[Whole]]:  # fmt: skip
    """Measure; write translation.md and .csv, a map of what wishes move, and a grid.

    root: a CelebA folder. The wishes are those of each translator's first data set.
    The grids show test photos: keep them where the photos may be kept. Raises UnknownName
    for a name that CelebA's lists lack.
    """
    output_folder(folder)
    rows: list[Row] = []
    wholes = []
    for translator in translators:
        photos = _read(root, translator.size, readers, options)
        found, whole = _measure(translator, photos, readers, options, (folder, progress))
        rows += found
        wholes.append(whole)
    table, whole_table = [asdict(row) for row in rows], [asdict(whole) for whole in wholes]
    write_csv(folder / "translation.csv", table)
    text = f"{markdown(whole_table)}\n\n{markdown(table)}\n"
    (folder / "translation.md").write_text(text, encoding="utf-8")
    return rows, wholes


def _read(root: Path, size: int, readers: Readers, options: Options) -> Photos:
    data = read_celeba(root, "test").rows(slice(options.photos))
    faces = to_unit(cached_crops(data.paths, size))
    seen, judged = (reader.probabilities(faces) for reader in readers)
    return Photos(data, faces, identity.embed(faces), seen, judged)


def _measure(
    translator: Translator, photos: Photos, readers: Readers, options: Options,
    outside: tuple[Path, Progress],
) -> tuple[list[Row], Whole]:  # fmt: skip
    folder, progress = outside
    name, part = str(translator.card["name"]), translator.vocabulary.parts[0]
    columns = [photos.data.attributes.index(one) for one in part.names]
    labels = as_labels(torch.from_numpy(photos.data.attributes.table[:, columns]))
    rows, back, moved, shown, drawn = [], [], [], [photos.faces[: options.grid]], []
    for column, target in enumerate(part.targets(labels)):
        made = _translated(translator, photos.faces, target.numpy(), options.batch)
        again = _translated(translator, made, labels.numpy(), options.batch)
        back.append(float(np.abs(again - photos.faces).mean()))
        seen, judged = (reader.probabilities(made) for reader in readers)
        moved.append(_moved(judged - photos.judged, target[:, column].numpy()))
        people = identity.similarity(photos.people, identity.embed(made))
        outcome = _Outcome(column, labels.numpy(), target.numpy(), seen, judged, people)
        rows += [
            Row(name, group, part.names[column], *outcome.shares(who, photos, readers, part.names))
            for group, who in _groups(photos.data, options)
        ]
        shown.append(made[: options.grid])
        drawn.append(made)
        progress(column + 1, len(part.names), f"{name}: {part.names[column]}")
    _grid(folder / f"{name}.png", shown)
    everything = readers[1].names
    heat_map(
        folder / f"{name}-moves.png", np.stack(moved), (part.names, everything),
        f"{name}: change of the judge's probability, of faces that were asked to gain a name",
    )  # fmt: skip
    distance = frechet_mobilenet(moments(drawn), moments([photos.faces]))
    return rows, Whole(name, float(np.mean(back)), distance)


@dataclass(frozen=True)
class _Outcome:
    """What became of one wish: labels [N, c] and targets [N, c], readings, cosines [N]."""

    column: int
    labels: np.ndarray
    targets: np.ndarray
    seen: np.ndarray
    judged: np.ndarray
    people: np.ndarray

    def shares(
        self, who: np.ndarray, photos: Photos, readers: Readers, names: tuple[str, ...]
    ) -> tuple[int, float, float, float | None, float]:
        """(faces, success, judged, kept, identity) of some rows."""
        own, other = (
            [reader.names.index(name) for name in names] for reader in readers
        )  # fmt: skip
        wanted = self.targets[who, self.column] > 0.5
        before, after = photos.seen[who][:, own] > 0.5, self.seen[who][:, own] > 0.5
        told = self.judged[who][:, other[self.column]] > 0.5
        alone = self.targets[who] == self.labels[who]
        alone[:, self.column] = False
        return (
            len(who),
            float((after[:, self.column] == wanted).mean()),
            float((told == wanted).mean()),
            kept(before, after, alone),
            float(self.people[who].mean()),
        )


def _translated(
    translator: Translator, faces: np.ndarray, labels: np.ndarray, batch: int
) -> np.ndarray:
    starts = range(0, len(faces), batch)
    return np.concatenate(
        [translator.translate(faces[s : s + batch], labels[s : s + batch]) for s in starts]
    )


def _groups(data: CelebA, options: Options) -> Iterator[tuple[str, np.ndarray]]:
    """(name, rows) of everybody, then of those with each attribute, and of those without Male."""
    yield EVERYBODY, np.arange(len(data))
    for name in options.groups:
        for group, sign in ((name, 1), (f"not {name}", -1)):
            rows = np.flatnonzero(data.attributes.column(name) == sign)
            if len(rows) >= FEWEST and (sign > 0 or name == "Male"):
                yield group, rows


def _moved(change: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Mean change [M] of those that were asked to gain the name; zeros if nobody was."""
    asked = wanted > 0.5
    return np.asarray(change[asked].mean(0)) if asked.any() else np.zeros(change.shape[1])


def _grid(path: Path, columns: Sequence[np.ndarray]) -> None:
    """A row a photo: itself, then every wish."""
    pixels = np.concatenate([np.concatenate(to_bytes(faces)) for faces in columns], axis=1)
    with atomic_open(path) as handle:
        Image.fromarray(pixels).save(handle, "PNG")

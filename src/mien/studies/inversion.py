"""What does an inverter keep of a photo, and can what it finds be edited?

Distortion and editability pull at each other (Tov et al., "Designing an Encoder
for StyleGAN Image Manipulation", SIGGRAPH 2021, section 3): styles far from the
generator's own draw the photo better and answer edits worse. For every inverter
this measures both on test photos: pixels, deep features and identity of the
redrawn photo; success and identity of ten edits; and latent editing consistency
(section 6 there): encode, edit, decode, encode again, undo, and look how far
from the first latent that ends.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mien.checks import check_numbers
from mien.directions import edit
from mien.faces.cache import cached_crops, to_unit
from mien.faces.celeba import read_celeba
from mien.generators.contract import Space
from mien.measure.perceptual import perceptual_distance
from mien.recognise import identity
from mien.recognise.any_size import AnySize
from mien.studies._split import Progress
from mien.studies._table import markdown, output_folder, write_csv
from mien.studies._tradeoff import tradeoff
from mien.studies.editing import EDITS
from mien.types import Attributes, Directions, Latent

Find = Callable[[np.ndarray], Latent]
USUAL = (1, 99)  # percentiles of the distances that consistency is the mean of, as published


@dataclass(frozen=True)
class Options:
    """What to measure."""

    photos: int = 500  # of the test split, from its first
    edits: Sequence[tuple[str, int]] = EDITS  # attribute, 1 = add it, 0 = take it away
    faces: int = 50  # photos an attribute
    amount: float = 1.0  # in calibrated units
    steps: int = 100  # of a hybrid descent
    descent: int = 300  # steps of a descent from the average face
    batch: int = 20  # photos inverted at once
    seed: int = 0  # of the choice of photos

    def __post_init__(self) -> None:
        check_numbers(self, {"amount": -math.inf})


@dataclass(frozen=True)
class Subject:
    """An inverter: `find` gives the latents of faces float32 [N, 3, S, S] in [-1, 1]."""

    name: str
    space: Space
    find: Find


@dataclass(frozen=True)
class Bench:
    """What all inverters share; every space takes the same directions."""

    directions: Directions
    recogniser: AnySize
    judge: AnySize


@dataclass(frozen=True)
class Row:
    """One inverter's result; shares in [0, 1], distances 0 for equal faces."""

    inverter: str
    photos: int
    pixel: float  # mean squared error, faces in [-1, 1]
    perceptual: float  # perceptual_distance, not LPIPS
    identity: float  # mean cosine of photo and drawing
    success: float  # share of edits that the recogniser sees
    judged: float  # share of edits that the judge sees
    kept: float  # mean cosine of edited and plain drawing
    consistency: float  # mean distance of a row of w+ after an edit and its undoing
    milliseconds: float  # a photo, on the clock


def run(
    root: Path, subjects: Sequence[Subject], bench: Bench, options: Options, folder: Path,
    progress: Progress,
) -> list[Row]:  # fmt: skip
    """Measure, and write inversion.md, inversion.csv, edits.csv and tradeoff.png.

    root: a CelebA folder. The subjects' spaces must have one size.
    """
    output_folder(folder)
    data = read_celeba(root, "test").rows(slice(options.photos))
    photos = to_unit(cached_crops(data.paths, subjects[0].space.size))
    people = identity.embed(photos)
    rows, table = [], []
    for subject in subjects:
        lesson = _Measured(subject, bench, options, progress)
        row, edits = lesson.measure(photos, people, data.attributes)
        rows.append(row)
        table += edits
        write_csv(folder / "edits.csv", table)
        write_csv(folder / "inversion.csv", [asdict(row) for row in rows])
    (folder / "inversion.md").write_text(markdown([asdict(row) for row in rows]) + "\n", "utf-8")
    tradeoff(folder / "tradeoff.png", [asdict(row) for row in rows])
    return rows


class _Measured:
    def __init__(
        self, subject: Subject, bench: Bench, options: Options, progress: Progress
    ) -> None:
        self.subject, self.bench, self.options, self.progress = subject, bench, options, progress

    def measure(
        self, photos: np.ndarray, people: np.ndarray, labels: Attributes
    ) -> tuple[Row, list[dict[str, object]]]:
        """(the inverter's row, a row an edit)."""
        start = time.perf_counter()
        latent = self._found(photos, "invert")
        spent = 1000 * (time.perf_counter() - start) / len(photos)
        drawn = self.subject.space.decode(latent)
        edits = [self._edited(latent, drawn, labels, change) for change in self.options.edits]

        def mean(key: str) -> float:
            return float(np.mean([float(str(row[key])) for row in edits]))

        row = Row(
            inverter=self.subject.name,
            photos=len(photos),
            pixel=float(np.square(drawn - photos).mean()),
            perceptual=float(perceptual_distance(drawn, photos).mean()),
            identity=float(identity.similarity(identity.embed(drawn), people).mean()),
            success=mean("success"),
            judged=mean("judged"),
            kept=mean("kept"),
            consistency=self._consistency(latent, labels),
            milliseconds=spent,
        )
        return row, edits

    def _found(self, faces: np.ndarray, task: str) -> Latent:
        parts, size = [], self.options.batch
        for start in range(0, len(faces), size):
            parts.append(self.subject.find(faces[start : start + size]).values)
            done = min(start + size, len(faces))
            self.progress(done, len(faces), f"{task} by {self.subject.name}")
        return Latent(np.concatenate(parts), self.subject.space.space, self.subject.space.mark)

    def _edited(
        self, latent: Latent, drawn: np.ndarray, labels: Attributes, change: tuple[str, int]
    ) -> dict[str, object]:
        name, wanted = change
        rows = self._chosen(labels, change)
        faces = self.subject.space.decode(self._moved(latent[rows], change))
        cosine = identity.similarity(identity.embed(faces), identity.embed(drawn[rows]))
        readers = {"success": self.bench.recogniser, "judged": self.bench.judge}
        seen = {
            key: float(((_presence(reader, faces, name) > 0.5) == wanted).mean())
            for key, reader in readers.items()
        }
        place = {"inverter": self.subject.name, "attribute": name, "wanted": wanted}
        return {**place, "faces": len(rows), **seen, "kept": float(cosine.mean())}

    def _consistency(self, latent: Latent, labels: Attributes) -> float:
        """The first edit there and back through the picture; the mean distance of a row."""
        change = self.options.edits[0]
        first = latent[self._chosen(labels, change)]
        moved = self._moved(first, change)
        again = self._found(self.subject.space.decode(moved), "invert again")
        ends = again.values - (moved.values - first.values)
        distances = np.linalg.norm(ends - first.values, axis=-1).mean(-1)
        low, high = np.percentile(distances, USUAL)
        return float(distances[(distances >= low) & (distances <= high)].mean())

    def _moved(self, latent: Latent, change: tuple[str, int]) -> Latent:
        name, wanted = change
        amount = self.options.amount if wanted else -self.options.amount
        return edit(latent, self.bench.directions, {name: amount})

    def _chosen(self, labels: Attributes, change: tuple[str, int]) -> np.ndarray:
        """Rows of photos labelled with the opposite of what is wanted."""
        name, wanted = change
        lacking = np.flatnonzero(labels.column(name) == (-1 if wanted else 1))
        drawn = np.random.default_rng(self.options.seed).permutation(lacking)
        return np.sort(drawn[: self.options.faces])


def _presence(reader: AnySize, faces: np.ndarray, name: str) -> np.ndarray:
    return np.asarray(reader.probabilities(faces)[:, reader.names.index(name)])

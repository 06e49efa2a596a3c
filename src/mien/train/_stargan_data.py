"""The data sets that a StarGAN learns from: CelebA, shares of it, folders of classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mien.checkpoint import find_model
from mien.errors import BadInput
from mien.faces.cache import cached_crops
from mien.faces.celeba import CelebA, read_celeba
from mien.faces.folder import read_folder
from mien.faces.read import read_photo
from mien.generators._labels import HAIR, Part, as_labels
from mien.train._stargan_guide import AGE, GREY, Paints
from mien.train._stargan_hair import Palette
from mien.train._stargan_state import Recipe, open_teachers
from mien.train.hair import hair_masks
from mien.train.prototypes import Prototypes

TELLING = 5_000  # photos among which colours of hair are looked for
SHOWING = 8_000  # from which prototypes of faces are made
HIDING = ("Eyeglasses", "Blurry", "Wearing_Hat")  # what keeps a face from showing in them

Progress = Callable[[int, int, str], None]


def _quiet(done: int, of: int, text: str) -> None:
    """Progress that nobody follows."""


def _tell(progress: Progress, text: str, done: int, of: int) -> None:
    progress(done, of, text)


@dataclass(frozen=True)
class Hints:
    """Labels that are not taught: bool [N], whose face nothing hides, and whose hair is grey."""

    plain: np.ndarray
    grey: np.ndarray | None

    @staticmethod
    def of(data: CelebA, grey: bool) -> Hints:
        """Of CelebA's photos; grey: whether grey hair matters."""
        *hiding, greys = (
            data.attributes.table[:, data.attributes.index(name)] > 0 for name in (*HIDING, GREY)
        )
        return Hints(~np.any(hiding, 0), greys if grey else None)

    def rows(self, some: np.ndarray) -> Hints:
        """Of these photos."""
        return Hints(self.plain[some], None if self.grey is None else self.grey[some])


@dataclass(frozen=True)
class Source:
    """One data set.

    faces: uint8 [A, S, S, 3]. rows: [N], which of them it holds. labels: float32
    [N, c], 1 present, 0 absent, 0.5 unknown, under the names of `part`.
    masks: uint8 [A, S, S, 2], of persons and their hair, where the guide paints it, and hints
    of all N rows.
    """

    faces: np.ndarray
    rows: np.ndarray
    labels: torch.Tensor
    part: Part
    masks: np.ndarray | None = None
    hints: Hints | None = None

    def palette(self) -> Palette | None:
        """The colours of hair that its masks and labels tell, if it has any."""
        known = [i for i, name in enumerate(self.part.names) if name in HAIR]
        names, labels = [self.part.names[i] for i in known], self.labels[:, known]
        if self.hints is not None and self.hints.grey is not None and GREY not in names:
            labels = torch.cat([labels, torch.from_numpy(self.hints.grey[:, None]).float()], 1)
            names.append(GREY)
        if self.masks is None or not names:
            return None
        some = np.arange(0, len(self.rows), max(1, len(self.rows) // TELLING))
        rows = self.rows[some]
        return Palette.of(self.faces[rows], self.masks[rows], labels[some], names)

    def prototypes(self, strengths: Mapping[str, float], progress: Progress) -> Prototypes | None:
        """How its names change faces, if any of them has a strength."""
        names = [name for name in self.part.names if strengths.get(name)]
        if self.hints is None or not names:
            return None
        plain = np.flatnonzero(self.hints.plain)
        some = plain[:: max(1, len(plain) // SHOWING)]
        faces, labels = self.faces[self.rows[some]], self.labels[some].numpy()
        told = partial(_tell, progress, "averaging faces")
        return Prototypes.of(faces, labels, self.part.names, names, told)


def read_sources(root: Path, recipe: Recipe, progress: Progress = _quiet) -> list[Source]:
    """CelebA's train split at `root`, whole or in shares (`recipe.joint`), then the folders.

    Of the shares all, or the one that `recipe.share` names.
    progress(photos, of, text) is called while hair is looked for, if the recipe wants it.

    Raises UnknownName for an attribute that CelebA's lists lack, a name that the teacher
    does not know or a model that does not exist, and BadInput for folders without classes
    and for other than one of `amounts`, `emphasis`, `accents` or `prototypes` a name, and for
    `grey` without Young.
    """
    _check_models(recipe)
    data = read_celeba(root, "train")
    groups = groups_of(recipe)
    columns = [_columns(data, names) for names in groups]  # a wrong name before photos are read
    classes = [_classes(_photos(Path(folder))) for folder in recipe.folders]
    _check_names(recipe, [name for part in (*groups, *classes) for name in part])
    others = [read_classes(Path(folder), recipe.size) for folder in recipe.folders]
    masks = hints = None
    if recipe.hair:
        masks = hair_masks(data, partial(_tell, progress, "looking for hair"))
    if recipe.prototypes or recipe.grey:
        hints = Hints.of(data, recipe.grey > 0)
    faces = cached_crops(data.paths, recipe.size)
    sources = []
    first, shares = max(0, recipe.share - 1), max(1, len(recipe.joint))
    for share, (names, found) in enumerate(zip(groups, columns, strict=True), start=first):
        rows = np.arange(share, len(data), shares)
        labels = as_labels(torch.from_numpy(data.attributes.table[rows][:, found]))
        mine = hints.rows(rows) if hints else None
        sources.append(Source(faces, rows, labels, Part(names), masks, mine))
    return sources + others


def paints_of(sources: Sequence[Source], recipe: Recipe, progress: Progress = _quiet) -> Paints:
    """What all data sets tell of colours of hair and of faces.

    progress(photos, of, text) is called while faces are averaged, if the recipe wants it.
    """
    colours = [palette for source in sources if (palette := source.palette()) is not None]
    palette = reduce(Palette.with_those, colours) if colours else None
    names = [name for source in sources for name in source.part.names]
    strengths = dict(zip(names, recipe.prototypes, strict=False))
    found = [source.prototypes(strengths, progress) for source in sources]
    known = tuple(one for one in found if one is not None)
    return Paints(palette, known, strengths, recipe.grey)


def _check_models(recipe: Recipe) -> None:
    """Said before photos are read; the recipe itself may name one that is yet to be trained."""
    if recipe.begin:
        find_model(recipe.begin)
    if recipe.guide > 0:
        find_model(recipe.guided_by)


def _check_names(recipe: Recipe, names: Sequence[str]) -> None:
    """Said before photos are read and hair is looked for, which takes long."""
    for field in ("amounts", "emphasis", "accents", "prototypes"):
        given = getattr(recipe, field)
        if given and len(given) != len(names):
            raise BadInput(
                f"{field} has {len(given)} numbers for {len(names)} names; give each one"
            )
    if recipe.grey and AGE not in names:
        raise BadInput(f"grey={recipe.grey} is for who is no longer {AGE}; give attributes with it")
    if recipe.teacher > 0:
        open_teachers(recipe.taught_by, names)


def groups_of(recipe: Recipe) -> list[tuple[str, ...]]:
    """The names of each share of CelebA that is learned from: all in one, or of `recipe.joint`."""
    groups = [tuple(group.split("+")) for group in recipe.joint] or [recipe.attributes]
    return [groups[recipe.share - 1]] if recipe.share else groups


def celeba_test(root: Path, recipe: Recipe, count: int) -> tuple[np.ndarray, list[torch.Tensor]]:
    """The first test photos uint8 [count, S, S, 3] and their labels, one tensor a group."""
    data = read_celeba(root, "test").rows(slice(count))
    tables = [data.attributes.table[:, _columns(data, names)] for names in groups_of(recipe)]
    labels = [as_labels(torch.from_numpy(table)) for table in tables]
    return cached_crops(data.paths, recipe.size), labels


def read_classes(folder: Path, size: int) -> Source:
    """A folder with one folder a class, as RaFD's expressions; the largest square of each photo.

    Raises BadInput for fewer than two classes, and naming a photo that cannot be read.
    """
    photos = _photos(folder)
    classes = _classes(photos)
    faces = np.stack([_square(read_photo(path), size) for path, _ in photos])
    numbers = [classes.index(name) for _, name in photos]
    labels = torch.nn.functional.one_hot(torch.tensor(numbers), len(classes)).float()
    return Source(faces, np.arange(len(faces)), labels, Part(tuple(classes), "classes"))


def _photos(folder: Path) -> list[tuple[Path, str]]:
    """The photos of a folder with one folder a class, by path, and the class of each."""
    paths, _ = read_folder(folder)
    inside = [(path, path.relative_to(folder).parts) for path in paths]
    photos = [(path, parts[0]) for path, parts in inside if len(parts) > 1]
    count = len(_classes(photos))
    if count < 2:
        raise BadInput(f"{folder} holds {count} folders of photos; give one folder a class")
    return photos


def _classes(photos: Sequence[tuple[Path, str]]) -> list[str]:
    return sorted({name for _, name in photos})


def _columns(data: CelebA, names: tuple[str, ...]) -> list[int]:
    return [data.attributes.index(name) for name in names]


def _square(photo: np.ndarray, size: int) -> np.ndarray:
    height, width = photo.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    resized = Image.fromarray(photo).resize((size, size), Image.Resampling.BICUBIC, box=box)
    return np.asarray(resized)

"""CelebA in its official layout, and its square crop.

Liu et al., "Deep Learning Face Attributes in the Wild" (ICCV 2015). The layout:
`img_align_celeba/NNNNNN.jpg` (178x218), `list_attr_celeba.txt` (count, 40
names, one row of 1/-1 a photo), `identity_CelebA.txt` and
`list_eval_partition.txt` (0 train, 1 valid, 2 test). Files may be restricted
to a subset of the photos.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.errors import BadInput
from mien.types import Attributes

SPLITS = ("train", "valid", "test")
CROP = (0, 20, 178, 198)  # left, top, right, bottom of the square used by all embedded models

# fmt: off
NAMES = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs",
    "Big_Lips", "Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows",
    "Chubby", "Double_Chin", "Eyeglasses", "Goatee", "Gray_Hair", "Heavy_Makeup",
    "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes", "No_Beard",
    "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks", "Sideburns",
    "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat",
    "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young",
)
# fmt: on


@dataclass(frozen=True)
class CelebA:
    """One split: paths [N], attributes (M = 40), identities int64 [N]."""

    paths: tuple[Path, ...]
    attributes: Attributes
    identities: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def rows(self, keep: np.ndarray | slice) -> CelebA:
        """The photos `keep` (indices, mask or slice)."""
        chosen = np.arange(len(self))[keep]
        paths = tuple(self.paths[i] for i in chosen)
        return CelebA(paths, self.attributes.rows(chosen), self.identities[chosen])


def read_celeba(root: Path, split: str) -> CelebA:
    """Read one split ("train", "valid" or "test") of a CelebA folder.

    Raises BadInput, naming the file and line, when the layout is not the official one.
    """
    if split not in SPLITS:
        raise BadInput(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    root = Path(root)
    partition = _read_pairs(root / "list_eval_partition.txt")
    identity = _read_pairs(root / "identity_CelebA.txt")
    names, table = _read_attributes(root / "list_attr_celeba.txt")
    files = [name for name, part in partition.items() if part == SPLITS.index(split)]
    for name in files:
        if name not in table or name not in identity:
            raise BadInput(f"{root}: {name} has a partition but no attributes or identity")
    rows = np.array([table[name] for name in files], np.int8).reshape(len(files), len(names))
    return CelebA(
        paths=tuple(root / "img_align_celeba" / name for name in files),
        attributes=Attributes(names, rows),
        identities=np.array([identity[name] for name in files], np.int64),
    )


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read {path}: {error}; expected CelebA's official layout") from error


def _read_pairs(path: Path) -> dict[str, int]:
    pairs = {}
    for number, line in enumerate(_read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            name, value = line.split()
            pairs[name] = int(value)
        except ValueError:
            raise BadInput(f"{path}:{number}: expected 'file number', got {line[:60]!r}") from None
    return pairs


def _read_attributes(path: Path) -> tuple[tuple[str, ...], dict[str, list[int]]]:
    lines = _read_lines(path)
    if len(lines) < 2 or not lines[0].strip().isdigit():
        raise BadInput(f"{path}: expected a count, a line of names, then rows of 1 and -1")
    names = tuple(lines[1].split())
    table = {}
    for number, line in enumerate(lines[2:], start=3):
        if not line.strip():
            continue
        file, *values = line.split()
        if len(values) != len(names) or not set(values) <= {"1", "-1", "0"}:
            raise BadInput(f"{path}:{number}: expected {len(names)} values of 1, -1 or 0")
        table[file] = [int(value) for value in values]
    return names, table

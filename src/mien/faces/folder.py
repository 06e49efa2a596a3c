"""Any folder of photos, with an optional CSV of attributes."""

from __future__ import annotations

import csv as comma
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mien.errors import BadInput, UnknownName
from mien.faces.celeba import NAMES
from mien.types import Attributes

# fmt: off
SUFFIXES = frozenset((
    ".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2",
    ".avif", ".mpo",
))
# fmt: on
VALUES = {"1": 1, "-1": -1, "0": 0, "": 0}


def read_folder(
    root: Path, csv: Path | None = None, names: Sequence[str] = NAMES
) -> tuple[tuple[Path, ...], Attributes]:
    """Photos below `root`, sorted by path, and their attributes int8 [N, M] over `names`.

    Hidden files and folders, and suffixes that are no image, are skipped. csv:
    a header `file,Name,...` and one row a photo: the file relative to `root`
    (with /), then 1 present, -1 absent, 0 or blank unknown. Photos without a
    row and names without a column are unknown. Raises BadInput or UnknownName,
    naming the file and line, when there are no photos or the CSV does not fit.
    """
    root = Path(root)
    files = _images(root)
    table = np.zeros((len(files), len(names)), np.int8)
    if csv is not None:
        _fill(table, Path(csv), {file: i for i, file in enumerate(files)}, tuple(names))
    paths = tuple(root / file for file in files)
    return paths, Attributes(tuple(names), table)


def _images(root: Path) -> list[str]:
    """Paths relative to `root`, with /, sorted."""
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise BadInput(f"{root} {what}; give a folder of photos")
    found = []
    for folder, inner, files in os.walk(root, onerror=_unreadable):
        inner[:] = [name for name in inner if not name.startswith(".")]
        shown = (name for name in files if not name.startswith("."))
        images = (name for name in shown if Path(name).suffix.lower() in SUFFIXES)
        found += [(Path(folder) / name).relative_to(root).as_posix() for name in images]
    if not found:
        raise BadInput(f"{root} holds no photos; give a folder with JPEG or PNG files")
    return sorted(found)


def _unreadable(error: OSError) -> None:
    raise BadInput(f"cannot read {error.filename}: {error.strerror}") from error


def _fill(table: np.ndarray, csv: Path, rows: dict[str, int], names: tuple[str, ...]) -> None:
    lines = _lines(csv)
    header = [cell.strip() for cell in lines[0][1]]
    columns = _columns(csv, header, names)
    seen: dict[str, int] = {}
    for number, cells in lines[1:]:
        where = f"{csv}:{number}"
        file = cells[0].strip().replace("\\", "/").removeprefix("./")
        if file not in rows:
            raise BadInput(f"{where}: {UnknownName('file', file, rows)}")
        if file in seen:
            raise BadInput(f"{where}: {file} stands on line {seen[file]} already; remove one row")
        if len(cells) != len(header):
            raise BadInput(f"{where}: {len(cells)} cells, expected {len(header)} as in the header")
        seen[file] = number
        table[rows[file], columns] = [
            _value(where, name, cell) for name, cell in zip(header[1:], cells[1:], strict=True)
        ]


def _lines(csv: Path) -> list[tuple[int, list[str]]]:
    """(line number, cells) of every row that is not blank."""
    try:
        with csv.open(encoding="utf-8-sig", newline="") as handle:  # spreadsheets write a mark
            reader = comma.reader(handle)
            lines = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except OSError as error:
        raise BadInput(f"cannot read {csv}: {error.strerror}") from error
    except (UnicodeDecodeError, comma.Error) as error:
        raise BadInput(f"{csv} is not a CSV in UTF-8 ({error}); export it again") from error
    if not lines:
        raise BadInput(f"{csv} is empty; expected a header 'file,Attribute,...' and rows")
    return lines


def _columns(csv: Path, header: list[str], names: tuple[str, ...]) -> list[int]:
    if len(header) < 2:
        raise BadInput(f"{csv}:1: expected a header 'file,Attribute,...' separated by commas")
    for place, name in enumerate(header[1:], start=1):
        if name not in names:
            raise BadInput(f"{csv}:1: {UnknownName('attribute', name, names)}")
        if name in header[1:place]:
            raise BadInput(f"{csv}:1: column {name} stands twice; remove one")
    return [names.index(name) for name in header[1:]]


def _value(where: str, name: str, cell: str) -> int:
    if cell.strip() not in VALUES:
        raise BadInput(
            f"{where}: {name} is {cell.strip()[:40]!r}; expected 1 (present), -1 (absent), "
            "0 or blank (unknown)"
        )
    return VALUES[cell.strip()]

"""Tables of a study: Markdown to read, CSV for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.errors import BadInput
from mien.files import write_bytes

Row = Mapping[str, Any]


def markdown(rows: Sequence[Row]) -> str:
    """Rows with the same keys as a Markdown table; floats with three decimals."""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join(_cell(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write rows with the same keys as CSV, atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())


def output_folder(folder: Path) -> Path:
    """`folder`, created; BadInput when that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write into {folder}: {error.strerror}") from error
    return folder


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)

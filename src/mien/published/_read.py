"""A published file's format and tensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.errors import BadInput
from mien.published._layouts import DIRECTIONS, PARTS, Kind, part_of, recognise
from mien.published._open import open_content, refusals
from mien.published._tree import arrays, check_directions


@dataclass(frozen=True)
class Published:
    """A published file.

    tensors: by their original names, and "latent_avg" where the file keeps it beside them.
    extras: plain data beside the tensors, such as training options.
    config: keyword arguments of the original constructor, where the file has them.
    """

    kind: Kind
    tensors: dict[str, np.ndarray]
    extras: dict[str, Any]
    config: dict[str, Any]


def detect(path: Path) -> Kind:
    """The format of a file, from its content.

    Raises BadInput when there is no such file and BadModel when it is damaged,
    would run code, or holds nothing that mien knows.
    """
    content = open_content(path)
    with refusals(path):
        return recognise(content.value).kind


def read(path: Path) -> Published:
    """The tensors of a file, without running anything in it.

    Of several generators in the file the averaged one is taken. Raises BadInput when
    there is no such file and BadModel when it is damaged, would run code, declares
    more than it holds, or holds nothing that mien knows.
    """
    content = open_content(path)
    with refusals(path):
        found = recognise(content.value)
        tensors = arrays(found.leaves, content.size)
        if found.kind in DIRECTIONS:
            check_directions(tensors, path)
        return Published(found.kind, tensors, found.extras, found.config)


def read_part(path: Path, part: str) -> dict[str, np.ndarray]:
    """The tensors of one part, "generator" or "discriminator", by their original names.

    Raises as `read` does, and BadModel when the file has no such part.
    """
    if part not in PARTS:
        raise BadInput(f"unknown part {part!r}; choose one of {', '.join(PARTS)}")
    content = open_content(path)
    with refusals(path):
        return arrays(part_of(content.value, part), content.size)

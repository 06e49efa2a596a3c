"""Rows, grids and animations of faces, written with their mark."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien import __version__
from mien.cli import options

if TYPE_CHECKING:
    import numpy as np

KINDS = options.PICTURES + options.ANIMATIONS
FRAMES = 24  # of an animation that crosses the range of a strip once


def row(faces: np.ndarray) -> np.ndarray:
    """Faces float32 [N, 3, S, S] side by side: uint8 [S, N*S, 3]."""
    import numpy as np

    from mien.faces.cache import to_bytes

    return np.concatenate(list(to_bytes(faces)), axis=1)


def grid(faces: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Faces float32 [N, 3, S, S] in rows of `columns` (None: about square), black where none is."""
    import numpy as np

    columns = columns or max(1, int(np.ceil(np.sqrt(len(faces)))))
    missing = -len(faces) % columns
    blank = np.full((missing, *faces.shape[1:]), -1, faces.dtype)
    filled = np.concatenate([faces, blank])
    lines = [row(filled[start : start + columns]) for start in range(0, len(filled), columns)]
    return np.concatenate(lines, axis=0)


def stamp(model: str) -> dict[str, Any]:
    """What every picture's note begins with: our version, the model, and what ran it."""
    from mien.runtime import engine, precision

    run = {"engine": engine.current(), "precision": precision.current()}
    return {"mien": __version__, "model": model, "run": run}


def weights_of(card: Mapping[str, Any]) -> dict[str, Any]:
    """What a note adds where other weights drew than those that its latents are named after."""
    from mien.checkpoint import mark, own_mark

    return {} if own_mark(card) == mark(card) else {"weights": own_mark(card)}


def is_animation(path: Path) -> bool:
    """Whether a file of this name holds frames rather than a picture."""
    return path.suffix.lower() in options.ANIMATIONS


def save_strips(
    path: Path, strips: np.ndarray, note: Mapping[str, Any], generated: bool = False
) -> None:
    """Write strips float32 [R, T, 3, S, S]: a row of T faces each, or T frames of R faces."""
    import numpy as np

    from mien.provenance.animation import AnimationOptions, save_animation
    from mien.provenance.mark import save_picture

    if not is_animation(path):
        save_picture(path, np.concatenate([row(strip) for strip in strips]), note, generated)
        return
    frames = np.stack([grid(strips[:, step]) for step in range(strips.shape[1])])
    save_animation(path, frames, note, AnimationOptions(generated=generated))

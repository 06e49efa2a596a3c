"""From a photo file to the aligned face that was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.errors import BadInput, NoFaceFound, UnknownName
from mien.faces.align import FRAMES, align_celeba, align_ffhq, aligned_face
from mien.faces.detect import Detection, detect, landmarks68
from mien.faces.read import read_photo
from mien.types import Face

SMALLEST = 32  # pixels from brows to chin; a smaller face has no detail to edit


@dataclass(frozen=True)
class FaceOptions:
    """Which face of a photo, and how it is brought into the frame."""

    frame: str = "celeba"  # "celeba" or "ffhq": what the model's card names
    number: int = 1  # 1 is the largest face
    aligned: bool = False  # the photo is an aligned face already: nothing is detected


@dataclass(frozen=True)
class Portrait:
    """A photo and one face of it.

    photo: uint8 [H, W, 3] RGB, upright. face: the aligned crop. count: how
    many faces were found (1 for an aligned image).
    """

    path: Path
    photo: np.ndarray
    face: Face
    count: int


def open_portrait(path: Path, size: int, options: FaceOptions | None = None) -> Portrait:
    """Read a photo and align one of its faces at `size` pixels.

    Raises BadInput when the file cannot be used, when it has fewer faces than
    `number` or the face is smaller than 32 pixels; NoFaceFound when there is
    none; MissingExtra when the detector is not installed.
    """
    options = options or FaceOptions()
    if options.frame not in FRAMES:
        raise UnknownName("frame", options.frame, FRAMES)
    if options.number < 1:
        raise BadInput(f"face number {options.number} does not exist; 1 is the largest face")
    path = Path(path)
    photo = read_photo(path)
    if options.aligned:
        return Portrait(path, photo, aligned_face(photo, size, options.frame), 1)
    found = detect(photo, least=options.number)
    chosen = _choose(path, found, options.number)
    return Portrait(path, photo, _align(photo, chosen, size, options.frame), len(found))


def _choose(path: Path, found: list[Detection], number: int) -> Detection:
    if not found:
        raise NoFaceFound(
            f"no face found in {path}; turn the photo upright, or add --aligned when it is "
            "an aligned face already"
        )
    if number > len(found):
        faces = "1 face" if len(found) == 1 else f"{len(found)} faces"
        raise BadInput(f"{path} shows {faces}, so --face {number} does not exist")
    chosen = found[number - 1]
    side = min(chosen.box[2] - chosen.box[0], chosen.box[3] - chosen.box[1])
    if side < SMALLEST:
        raise BadInput(
            f"the face in {path} is {side:.0f} pixels high; give a photo in which it has "
            f"at least {SMALLEST}"
        )
    return chosen


def _align(photo: np.ndarray, chosen: Detection, size: int, frame: str) -> Face:
    if frame == "ffhq":
        return align_ffhq(photo, landmarks68(photo, chosen), size)
    return align_celeba(photo, chosen.landmarks, size)

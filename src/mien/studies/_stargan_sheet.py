"""One picture of a grid of translators: the same faces in every row, one row a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mien.files import atomic_open

LEFT, TOP, GAP = 150, 18, 8  # px for the runs' names, the wishes' names, between wishes


@dataclass(frozen=True)
class Strip:
    """What one run drew.

    pixels: uint8 [K * size, (1 + W) * size, 3], a row a face: the photo, then each wish.
    """

    name: str
    wishes: tuple[str, ...]
    pixels: np.ndarray
    size: int

    def faces(self, column: int, side: int) -> np.ndarray:
        """The faces of a column next to each other: uint8 [side, K * side, 3]."""
        tall = self.pixels[:, column * self.size : (column + 1) * self.size]
        tiles = [tall[top : top + self.size] for top in range(0, len(tall), self.size)]
        wide = Image.fromarray(np.concatenate(tiles, axis=1))
        return np.asarray(wide.resize((len(tiles) * side, side), Image.Resampling.BICUBIC))


def save_sheet(path: Path, strips: Sequence[Strip]) -> None:
    """Write a PNG, atomically: the photos, then a row a run; a block of columns a wish.

    A wish that a run does not know stays empty in its row.
    """
    side = max(strip.size for strip in strips)
    wishes = list(dict.fromkeys(wish for strip in strips for wish in strip.wishes))
    photos = strips[0].faces(0, side)
    block = photos.shape[1] + GAP
    size = (LEFT + block * len(wishes), TOP + side * (1 + len(strips)))
    sheet = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for place, wish in enumerate(wishes):
        left = LEFT + place * block
        pen.text((left, 1), wish, "black", font)
        sheet.paste(Image.fromarray(photos), (left, TOP))
        for row, strip in enumerate(strips, start=1):
            if wish in strip.wishes:
                drawn = strip.faces(1 + strip.wishes.index(wish), side)
                sheet.paste(Image.fromarray(drawn), (left, TOP + row * side))
    for row, name in enumerate(["photos", *(strip.name for strip in strips)]):
        pen.text((2, TOP + row * side + side // 2 - 8), name, "black", font)
    with atomic_open(path) as handle:
        sheet.save(handle, "PNG")

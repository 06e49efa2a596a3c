"""Hair recoloured in the photo itself: how a StarGAN is shown what black, blond and brown are.

Reinhard et al., "Color Transfer between Images" (2001): inside of a mask the mean and the
spread of CIELAB become those of another colour. Which ones depends on the light: they are
read off real photos of that hair colour, by the colour of the skin in them. Strands, skin and
background stay, which edits of a space that draws the whole face do not give.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from skimage.color import lab2rgb, rgb2lab

from mien.errors import BadInput

CHEEKS = (slice(60, 92), slice(44, 84))  # rows and columns of CelebA's crop at 128 px: skin
LEAST = 200  # pixels of hair in the photos that tell a colour
PHOTOS = 600  # that tell a colour, at most
FEWEST = 10  # at least
GAIN = (0.5, 2.5)  # of the spread, at most: black hair holds little but noise


@dataclass(frozen=True)
class Shade:
    """A hair colour: mean of CIELAB by the skin's [4, 3] (constant, L, a, b), spread [3].

    share: of the hair that takes it, in [0, 1].
    """

    by_skin: np.ndarray
    spread: np.ndarray
    share: float = 1.0

    def away(self, usual: Shade, amount: float) -> Shade:
        """The colour `amount` times as far from the usual one; at 1 photos of it lie around it."""
        return Shade(usual.by_skin + amount * (self.by_skin - usual.by_skin), self.spread)

    @staticmethod
    def of(faces: np.ndarray, masks: np.ndarray) -> Shade:
        """Of photos uint8 [N, 128, 128, 3] with that colour, masks uint8 [N, 128, 128, 2]."""
        skins, means, spreads = [], [], []
        for face, mask in zip(faces, masks, strict=True):
            colours, hair = rgb2lab(face), mask[..., 1] / 255
            mean, spread = moments(colours, hair)
            skins.append(skin(colours))
            means.append(mean)
            spreads.append(spread)
        by_skin = np.linalg.lstsq(np.stack(skins), np.stack(means), rcond=None)[0]
        return Shade(by_skin, np.mean(spreads, 0))

    def paint(self, face: np.ndarray, hair: np.ndarray) -> np.ndarray:
        """The face, RGB [S, S, 3] in [0, 1], with hair [S, S] in [0, 1] of this colour."""
        if hair.sum() < LEAST / 4:
            return face
        colours = rgb2lab(face)
        mean, spread = moments(colours, hair)
        gain = np.clip(self.spread / np.maximum(spread, 1e-3), *GAIN)
        painted = (colours - mean) * gain + skin(colours) @ self.by_skin
        painted[..., 0] = painted[..., 0].clip(1, 98)
        mixed = colours + self.share * hair[..., None] * (painted - colours)
        with warnings.catch_warnings(action="ignore"):  # of colours that no screen shows
            return np.asarray(lab2rgb(mixed), np.float32)


@dataclass(frozen=True)
class Palette:
    """Colours of hair as photos show them; `usual` is that of all together."""

    usual: Shade
    shades: Mapping[str, Shade]

    @staticmethod
    def of(
        faces: np.ndarray, masks: np.ndarray, labels: torch.Tensor, names: Sequence[str]
    ) -> Palette:
        """Of faces uint8 [N, 128, 128, 3], masks uint8 [N, 128, 128, 2], labels [N, c] of names.

        Raises BadInput for a colour of which too few photos show hair.
        """
        plenty = masks[..., 1].sum((1, 2), dtype=np.int64) > 255 * LEAST
        whose = {"": plenty} | {
            name: plenty & (labels[:, i].numpy() == 1) for i, name in enumerate(names)
        }
        found = {}
        for name, known in whose.items():
            rows = np.flatnonzero(known)
            if len(rows) < FEWEST:
                raise BadInput(
                    f"{len(rows)} photos show {name or 'any'} hair plainly, {FEWEST} are needed to "
                    "tell its colour; leave the name out or set hair=false"
                )
            rows = rows[:: max(1, len(rows) // PHOTOS)]
            found[name] = Shade.of(faces[rows], masks[rows])
        return Palette(found.pop(""), found)

    def with_those(self, other: Palette) -> Palette:
        """These colours and another palette's."""
        return Palette(self.usual, {**other.shades, **self.shades})

    def beyond(self, amounts: Mapping[str, float]) -> dict[str, Shade]:
        """The colours that have an amount, it times away from the usual one."""
        return {
            name: shade.away(self.usual, amounts[name])
            for name, shade in self.shades.items()
            if name in amounts
        }


def recoloured(
    faces: torch.Tensor, masks: torch.Tensor, wanted: list[Shade | None]
) -> torch.Tensor:
    """Faces [N, 3, 128, 128] in [-1, 1], each with hair (masks [N, 128, 128] in [0, 1]) as wanted.

    None leaves a face as it is.
    """
    made = faces.clone()
    for row, shade in enumerate(wanted):
        if shade is not None:
            face = (faces[row].permute(1, 2, 0).numpy() / 2 + 0.5).clip(0, 1)
            painted = shade.paint(face, masks[row].numpy())
            made[row] = torch.from_numpy(painted).permute(2, 0, 1) * 2 - 1
    return made


def moments(colours: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread [3] of colours [S, S, 3] under weights [S, S]."""
    share = weights[..., None] / weights.sum()
    mean = (colours * share).sum((0, 1))
    return mean, np.sqrt(((colours - mean) ** 2 * share).sum((0, 1)))


def skin(colours: np.ndarray) -> np.ndarray:
    """[4]: 1 and the median CIELAB of the cheeks and nose."""
    found: np.ndarray = np.r_[1.0, np.median(colours[CHEEKS].reshape(-1, 3), 0)]
    return found

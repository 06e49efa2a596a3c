"""The way from one face to another, and which faces are worth going between."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mien.errors import BadInput, UnknownName
from mien.types import Attributes, Latent, check_same_space

WAYS = ("linear", "spherical")
PARALLEL = 1e-6  # radians; nearer (or more opposed) latents have no arc of their own


def interpolate(first: Latent, second: Latent, steps: int, way: str = "linear") -> Latent:
    """`steps` latents from `first` (N = 1) to `second` (N = 1), both ends included.

    "linear" is the straight line; "spherical" the arc (Shoemake, "Animating
    Rotation with Quaternion Curves", 1985) in each row of a latent [L, D], which keeps
    samples of a Gaussian at their usual length. Where two rows are parallel or
    opposed the arc is the line. Raises SpaceMismatch for latents of two
    spaces, BadInput unless each is one face of the same shape and steps is 2 or more.
    """
    if way not in WAYS:
        raise UnknownName("way", way, WAYS)
    for latent in (first, second):
        if len(latent) != 1:
            raise BadInput(f"a way leads between two faces, but {len(latent)} were given for one")
    marks = (first.space, first.model), (second.space, second.model)
    check_same_space("one face", marks[0], "the other", marks[1])
    if first.values.shape != second.values.shape or steps < 2:
        raise BadInput("both faces need latents of one shape, and the way 2 steps or more")
    share = np.linspace(0, 1, steps).reshape((-1,) + (1,) * (first.values.ndim - 1))
    start, end = first.values.astype(np.float64), second.values.astype(np.float64)
    weights = (1 - share, share) if way == "linear" else _arc(start, end, share)
    values = weights[0] * start + weights[1] * end
    values[0], values[-1] = start[0], end[0]
    return replace(first, values=values.astype(np.float32))


def _arc(start: np.ndarray, end: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of start and end at each share of the angle between them, a row at a time."""
    lengths = np.linalg.norm(start, axis=-1) * np.linalg.norm(end, axis=-1)
    cosine = (start * end).sum(axis=-1) / np.where(lengths > 0, lengths, 1)
    angle = np.arccos(np.clip(cosine, -1, 1))[..., None]
    flat = (angle < PARALLEL) | (angle > np.pi - PARALLEL) | (lengths[..., None] == 0)
    safe = np.where(flat, 1.0, angle)
    one = np.where(flat, 1 - share, np.sin((1 - share) * safe) / np.sin(safe))
    two = np.where(flat, share, np.sin(share * safe) / np.sin(safe))
    return one, two


@dataclass(frozen=True)
class Pairing:
    """Two faces by row number, and what they have to do with one another."""

    name: str
    first: int
    second: int


def pairings(
    attributes: Attributes, attribute: str, gender: str = "Male", seed: int = 0
) -> list[Pairing]:
    """The three pairings of a published comparison of VAEs (Facial_Expression_Synthesis, 2022).

    Two identities of one gender, both without the attribute; one gender, without and
    with it; across gender, without and with it. That code draws from all faces, with
    replacement and without a seed; here each face is drawn once. Raises BadInput
    when there are too few faces, UnknownName for a name that `attributes` lacks.
    """
    if attribute == gender:
        raise BadInput(f"pairs of {attribute} across {gender} are one and the same; name another")
    shown, sex = attributes.column(attribute), attributes.column(gender)
    order = np.random.default_rng(seed).permutation(len(shown))
    drawn: list[int] = []

    def draw(present: int, side: int) -> int:
        rows = (int(n) for n in order if shown[n] == present and sex[n] == side)
        row = next((n for n in rows if n not in drawn), None)
        if row is None:
            what = f"{'with' if present > 0 else 'without'} {attribute}"
            raise BadInput(f"too few faces {what} and {gender} {side:+d}; give a larger gallery")
        drawn.append(row)
        return row

    sides = ("the same gender", "the same gender", "across gender")
    plans = (((-1, -1), (-1, -1)), ((-1, 1), (1, 1)), ((-1, 1), (1, -1)))
    words = (f"both without {attribute}", f"without and with {attribute}")
    names = (f"{sides[0]}, {words[0]}", f"{sides[1]}, {words[1]}", f"{sides[2]}, {words[1]}")
    return [
        Pairing(name, draw(*first), draw(*second))
        for name, (first, second) in zip(names, plans, strict=True)
    ]

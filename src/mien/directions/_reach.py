"""The smallest length at which a measured curve reaches a level, in few measurements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

TRIES = 8  # measurements inside the bracket at most
ENOUGH = 0.9  # share of the best progress that stands for a level never reached


@dataclass(frozen=True)
class Reached:
    """A length, the level measured there, and whether it is the level wanted."""

    length: float
    level: float
    reached: bool


def first_reaching(
    progress: Callable[[float], float],
    wanted: float,
    start: float,
    furthest: float,
    tolerance: float,
) -> Reached:
    """The length in (0, furthest] at which `progress`, 0 at length 0, is `wanted`.

    Lengths double from start / 2 until they bracket the level; then guarded
    interpolation until it is met within `tolerance`. When no length reaches it:
    the first with 90 % of the best progress seen, or `start` when nothing helps
    or nothing is wanted.
    """
    if wanted <= tolerance:
        return Reached(start, 0.0, reached=False)
    tried = [(0.0, 0.0)]
    length = min(start / 2, furthest)
    while True:
        tried.append((length, progress(length)))
        if tried[-1][1] >= wanted - tolerance:
            return inside(progress, wanted, (tried[-2], tried[-1]), tolerance)
        if length >= furthest:
            return _most(progress, tried, start, tolerance)
        length = min(2 * length, furthest)


def inside(
    progress: Callable[[float], float],
    wanted: float,
    bracket: tuple[tuple[float, float], tuple[float, float]],
    tolerance: float,
) -> Reached:
    """Interpolate inside a bracket, never nearer to its ends than a tenth, so that it shrinks."""
    below, above = bracket
    best = above
    for _ in range(TRIES):
        if abs(best[1] - wanted) <= tolerance:
            break
        share = (wanted - below[1]) / (above[1] - below[1])
        length = below[0] + min(max(share, 0.1), 0.9) * (above[0] - below[0])
        best = (length, progress(length))
        below, above = (best, above) if best[1] < wanted else (below, best)
    return Reached(best[0], best[1], reached=True)


def _most(
    progress: Callable[[float], float], tried: list[tuple[float, float]], start: float,
    tolerance: float,
) -> Reached:  # fmt: skip
    best = max(level for _, level in tried)
    if best <= 0:
        return Reached(start, tried[-1][1], reached=False)
    after = next(place for place, (_, level) in enumerate(tried) if level >= ENOUGH * best)
    found = inside(progress, ENOUGH * best, (tried[after - 1], tried[after]), tolerance)
    return replace(found, reached=False)

"""What one unit means: how far a latent moves until a recogniser sees the attribute.

Directions come from latents and labels alone; two spaces, or two attributes,
need different lengths for the same visible change. Calibration measures it on
decoded faces, so that an amount of 1 takes faces lacking an attribute, on
average, to the probability that faces clearly having it show. Where the way
there changes much else, it ends earlier: once the recogniser agrees for most
faces. And where an embedding of identities is at hand, it never goes on beyond
the point where faces stop passing for the same people: what recognisers never
agree on, such as blond hair on dark, would go on for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from statistics import NormalDist

import numpy as np

from mien.directions._assemble import QUANTILES, presence_range
from mien.directions._linear import coordinates
from mien.directions._reach import Reached, first_reaching, inside
from mien.directions._walk import Eye, Walk
from mien.directions.contract import Decodes, Labelled, Recognises
from mien.errors import BadInput, UnknownName
from mien.recognise.identity import SAME
from mien.types import Attributes, Directions, Latent

KEPT = 0.83  # share of faces that a unit keeps recognisable
QUANTILE = NormalDist().inv_cdf(KEPT)
CLEARLY = 0.8  # of the strangeness allowed: below it few faces are enough to see
SIDES = ("both", "mean", "max", "add", "remove")


@dataclass(frozen=True)
class CalibrationOptions:
    """What calibration measures, and how finely."""

    faces: int = 64  # decoded faces a side at every length tried
    fewest: int = 8  # faces needed on either side of an attribute
    quantiles: tuple[float, float] = QUANTILES  # of absent faces -> low, of present ones -> high
    side: str = "both"  # adding and removing have units of their own, or one for both
    levels: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # see `levels_of`
    clear: float = 0.99  # levels stay in [1 - clear, clear]; going on costs identity
    most: float = 0.95  # share of faces for which the recogniser must agree, whatever drifts
    drift: float = 0.8  # change of the other attributes, in mean logits, worth a clearer face
    embed: Callable[[np.ndarray], np.ndarray] | None = None  # faces to unit rows, by identity
    same: float = SAME  # cosine of embeddings above which two faces pass for one person's
    crowd: int = 200  # faces embedded where those do not settle who still passes
    furthest: float = 16.0  # longest length tried, in gaps between the sides' mean coordinates
    tolerance: float = 0.01  # probability at which a level counts as reached
    batch: int = 64  # faces decoded at once
    seed: int = 0  # of the choice of faces

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            raise UnknownName("side", self.side, SIDES)
        for name in ("faces", "fewest", "crowd", "furthest", "tolerance", "batch"):
            if not getattr(self, name) > 0:
                raise BadInput(f"{name} is {getattr(self, name)}, expected more than 0")


DEFAULTS = CalibrationOptions()


def calibrate(
    directions: Directions,
    space: Decodes,
    recogniser: Recognises,
    latent: Latent,
    attributes: Attributes | None = None,
    options: CalibrationOptions = DEFAULTS,
) -> Directions:
    """Directions with low, high and unit measured on `latent`, the latents of real faces.

    attributes: their labels; without them every latent is decoded once and the
    recogniser labels it at probability 0.5. low, high: the coordinates that
    presence 0 and 1 stand for (options.quantiles). unit: the length at which the mean
    probability over decoded absent faces reaches the level of present ones, unit_down
    the other way round (`side`); levels are those of decoded faces, or options.levels
    measured on photos, kept within [1 - clear, clear]. A length that changes other
    attributes by more than options.drift is cut back, but not below the one at which
    the recogniser agrees for options.most. With options.embed, a length after which less than
    KEPT of the faces would pass for the same people is cut back to where they do. What was
    reached is in provenance["calibration"]. Raises BadInput naming an attribute with too few
    faces, UnknownName for one the recogniser does not know.
    """
    directions.check_latent(latent)
    see = Eye(space, recogniser, options.batch)
    if attributes is None:
        table = np.where(see.all(latent) > 0.5, 1, -1).astype(np.int8)
        attributes = Attributes(tuple(recogniser.names), table)
    data = Labelled(latent, attributes.select(directions.names))
    scores = coordinates(latent.flat, directions.vectors)
    low, high = presence_range(scores, data.attributes.table, options.quantiles)
    places = enumerate(directions.names)
    notes = {name: _measure(see, data, directions, at, options) for at, name in places}
    return replace(
        directions,
        low=low.astype(np.float32),
        high=high.astype(np.float32),
        unit=np.array([note["unit"] for note in notes.values()], np.float32),
        unit_down=np.array([note["unit_down"] for note in notes.values()], np.float32),
        provenance={**directions.provenance, "calibration": notes},
    )


def levels_of(
    probabilities: np.ndarray, names: tuple[str, ...], attributes: Attributes
) -> dict[str, tuple[float, float]]:
    """attribute -> (0.1 quantile of faces lacking it, 0.9 quantile of faces having it).

    probabilities: [N, len(names)] of a recogniser over photos; attributes: the
    labels of the same photos. The quantiles are the range seen in real faces
    without its last outliers. Attributes without faces on both sides, or
    unknown to the recogniser, are left out.
    """
    levels = {}
    for name in (n for n in attributes.names if n in names):
        seen, labels = probabilities[:, names.index(name)], attributes.column(name)
        if (labels < 0).any() and (labels > 0).any():
            low, high = np.quantile(seen[labels < 0], 0.1), np.quantile(seen[labels > 0], 0.9)
            levels[name] = (float(low), float(high))
    return levels


def _measure(
    see: Eye, data: Labelled, directions: Directions, column: int, options: CalibrationOptions
) -> dict[str, float | bool]:
    """The unit of one attribute and how it came about, plain JSON values."""
    name = directions.names[column]
    sides = _sides(data, name, options)
    vector = directions.vectors[:, column].astype(np.float64)
    gap = _gap(data, vector, column)
    start = [see.mean(side[: options.faces], name) for side in sides]
    low, high = options.levels.get(name, (start[0], start[1]))
    low, high = max(low, 1 - options.clear), min(high, options.clear)
    add = _reach(see, sides[0], (name, vector, 1.0), (start[0], high), gap, options)
    remove = _reach(see, sides[1], (name, vector, -1.0), (start[1], low), gap, options)
    up, down = _units(add.length, remove.length, options.side)
    return {
        "unit": up, "unit_down": down,
        "add": add.length, "add_from": start[0], "add_to": add.level, "add_reached": add.reached,
        "remove": remove.length, "remove_from": start[1], "remove_to": remove.level,
        "remove_reached": remove.reached,
    }  # fmt: skip


def _units(add: float, remove: float, side: str) -> tuple[float, float]:
    """(unit, unit_down) of the lengths that adding and removing took."""
    if side == "both":
        return add, remove
    one = {"add": add, "remove": remove, "max": max(add, remove), "mean": (add + remove) / 2}[side]
    return one, one


def _reach(
    see: Eye,
    latent: Latent,
    along: tuple[str, np.ndarray, float],  # attribute, vector [D], 1 adds it or -1 removes it
    levels: tuple[float, float],  # from, to
    gap: float,
    options: CalibrationOptions,
) -> Reached:
    """The length along the vector that takes the mean probability to the other level."""
    walk = Walk(see, latent[: options.faces], along)

    def first(reading: str, wanted: float) -> Reached:
        start = float(getattr(walk.read(0.0), reading))

        def progress(length: float) -> float:
            return float(getattr(walk.read(length), reading)) - start

        furthest = options.furthest * gap
        return first_reaching(progress, wanted - start, gap, furthest, options.tolerance)

    sign = along[2]
    found = first("towards", sign * levels[1])
    if walk.read(found.length).drift > options.drift:
        enough = max(first("agreed", options.most).length, first("drift", options.drift).length)
        found = replace(found, length=min(enough, found.length))
    if options.embed is not None:
        found = replace(found, length=_recognisable(walk, latent, found.length, options))
    return replace(found, level=sign * walk.read(found.length).towards)


def _recognisable(walk: Walk, crowd: Latent, length: float, options: CalibrationOptions) -> float:
    """`length`, or the one at which KEPT of the faces still pass for the same people.

    The walking faces tell where that is far off; elsewhere a `crowd` decides,
    since a share of few faces is a coarse number.
    """
    allowed = 1 - options.same
    if _strangeness(walk, options)(length) <= CLEARLY * allowed:
        return length
    strangeness = _strangeness(walk.of(crowd), options)
    far = strangeness(length)
    if far <= allowed:
        return length
    return inside(strangeness, allowed, ((0.0, 0.0), (length, far)), 0.005 * allowed).length


def _strangeness(walk: Walk, options: CalibrationOptions) -> Callable[[float], float]:
    """Length -> 1 - the cosine that KEPT of the faces exceed to themselves before, as if normal."""
    embed = options.embed
    assert embed is not None
    plain = embed(walk.faces)

    def strangeness(length: float) -> float:
        cosines = (embed(walk.moved(length)) * plain).sum(1)
        return 1 - float(cosines.mean() - QUANTILE * cosines.std())

    return strangeness


def _sides(data: Labelled, name: str, options: CalibrationOptions) -> tuple[Latent, Latent]:
    """(faces lacking the attribute, faces having it), as many as options need, shuffled."""
    labels = data.attributes.column(name)
    generator = np.random.default_rng(options.seed)
    chosen = []
    for sign, word in ((-1, "without"), (1, "with")):
        rows = np.flatnonzero(labels == sign)
        if len(rows) < options.fewest:
            raise BadInput(
                f"calibration has {len(rows)} faces {word} {name}, fewer than {options.fewest}; "
                "give more faces or leave it out"
            )
        chosen.append(data.latent[generator.permutation(rows)[: max(options.faces, options.crowd)]])
    return chosen[0], chosen[1]


def _gap(data: Labelled, vector: np.ndarray, column: int) -> float:
    """Distance between the two sides' mean coordinates, or their deviation when there is none."""
    scores = coordinates(data.latent.flat, vector[:, None])[:, 0]
    labels = data.attributes.table[:, column]
    gap = float(scores[labels > 0].mean() - scores[labels < 0].mean())
    return gap if gap > 1e-6 else max(float(scores.std()), 1e-6)

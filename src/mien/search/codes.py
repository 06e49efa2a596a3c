"""Compressed faces: what bounds a distance from below without reading the latent.

With F the basis, s = F'w the scores and r = w - F s the rest, a face's code is

    lead    float32, its scores and the first principal components of r;
    blocks  int8 or float16, the components after them, a stage each;
    misses  how far each block is from what it stands for, |t - decoded|;
    tails   |r| outside the components up to each stage,

so whatever rounding a code has is known and can be taken off the bound
(`mien.search.bounds`). The components (the `Plan`) are fitted once; any
orthonormal ones give true bounds, principal ones give sharp bounds.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from mien.checks import check_finite
from mien.errors import BadInput, UnknownName

KINDS = {"int8": 1, "float16": 2}  # bytes of a component after the leading ones
STEP = 1 << 21  # numbers of one float64 block while encoding: 16 MB
PIECE = 128  # numbers of a latent whose products float32 adds up; float64 adds the pieces
PRODUCT = (PIECE + 8) * float(np.finfo(np.float32).eps) / 2  # how far `products` is off


@dataclass(frozen=True)
class CodeOptions:
    """How large and how exact codes are."""

    kind: str = "int8"  # or float16: more exact, half the components
    size: int = 1000  # bytes a face may take in memory
    lead: int = 48  # components in float32 that every search scans, beside the scores
    block: int = 96  # components of a later stage, read only for faces still in question
    sample: int = 6000  # faces that the components are fitted on; more hardly sharpens them


@dataclass(frozen=True)
class Plan:
    """How faces become codes.

    vectors: float32 [D, M], the basis. middle: [M] mean score; mean: [D] mean
    rest. components: [R, D], orthonormal rows. scales: float32 [R], what one
    step of a code is worth (1 for float16). lead, block: components of the
    stages. defect: |components components' - 1|, Frobenius. All float64 unless said.
    """

    vectors: np.ndarray
    middle: np.ndarray
    mean: np.ndarray
    components: np.ndarray
    scales: np.ndarray
    lead: int
    block: int
    kind: str
    defect: float

    @cached_property
    def basis(self) -> np.ndarray:
        """float64 [D, M]."""
        return np.asfortranarray(self.vectors, np.float64)

    @cached_property
    def gram(self) -> np.ndarray:
        """float64 [M, M], the identity but for what float32 leaves of it."""
        product: np.ndarray = self.basis.T @ self.basis
        return product

    @cached_property
    def shift(self) -> tuple[np.ndarray, np.ndarray]:
        """(float64 [R, M], components F; [R], components mean): w's components without r.

        components (r - mean) = components w - (components F) s - components mean.
        """
        return self.components @ self.basis, self.components @ self.mean

    @cached_property
    def single(self) -> np.ndarray:
        """The components as `pieces` that lie one after the other, half as much to read."""
        return np.ascontiguousarray(pieces(self.components))

    @cached_property
    def inside(self) -> np.ndarray:
        """float64 [M], F'mean: nearly 0."""
        return np.asarray(self.mean @ self.basis)

    @cached_property
    def stages(self) -> list[slice]:
        """The components of the leading stage, then of each block."""
        size = len(self.components)
        starts = range(self.lead, size, self.block)
        return [slice(0, self.lead), *(slice(s, min(s + self.block, size)) for s in starts)]


def pieces(rows: np.ndarray) -> np.ndarray:
    """float32 [P, N, PIECE], rows [N, D] in pieces, zeros behind the last number."""
    rows = rows.astype(np.float32, copy=False)
    left = -rows.shape[1] % PIECE
    if left:
        rows = np.pad(rows, ((0, 0), (0, left)))
    return rows.reshape(len(rows), -1, PIECE).swapaxes(0, 1)


def products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """float64 [N, Q]: N rows times Q rows, given as `pieces`; float64 adds the pieces up.

    Off by (PIECE + 1) u |x| |y| at most, u being half of float32's epsilon (Higham, 3.5), and
    by 2 u |x| |y| where both were rounded to float32: `PRODUCT` |x| |y| in all.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        total: np.ndarray = np.matmul(left, right.swapaxes(1, 2)).sum(axis=0, dtype=np.float64)
    return total


@dataclass(frozen=True)
class Codes:
    """Codes of N faces.

    lead: float32 [M + L, N], scores less their middle, then leading components.
    blocks: int8 or float16 [N, B] each. misses: float32 [J, N], rounded up.
    tails: float32 [J + 1, N]. rest: float64 [N], |r|^2.
    """

    lead: np.ndarray
    blocks: tuple[np.ndarray, ...]
    misses: np.ndarray
    tails: np.ndarray
    rest: np.ndarray

    def __len__(self) -> int:
        return len(self.rest)

    @property
    def bytes(self) -> int:
        """What they take in memory."""
        arrays = (self.lead, *self.blocks, self.misses, self.tails, self.rest)
        return sum(array.nbytes for array in arrays)


def join_codes(parts: list[Codes]) -> Codes:
    """The faces of all, in that order."""
    return Codes(
        np.concatenate([part.lead for part in parts], axis=1),
        tuple(np.concatenate(blocks) for blocks in zip(*(p.blocks for p in parts), strict=True)),
        np.concatenate([part.misses for part in parts], axis=1),
        np.concatenate([part.tails for part in parts], axis=1),
        np.concatenate([part.rest for part in parts]),
    )


def fit_plan(values: np.ndarray, vectors: np.ndarray, options: CodeOptions) -> Plan:
    """Fit the components on a sample of latents.

    values: [n, D], the sample; vectors: [D, M], orthonormal. At most n / 4
    components, so that none is one person's. Raises UnknownName for another
    kind, BadInput on NaN or when `size` has no room for the scores.
    """
    if options.kind not in KINDS:
        raise UnknownName("kind of codes", options.kind, KINDS)
    check_finite(values, "gallery")
    size, names = vectors.shape
    lead, count = _room(size, names, options)
    basis = vectors.astype(np.float64)
    scores = values @ basis
    rest = values - scores @ basis.T
    mean = rest.mean(axis=0)
    count = max(1, min(count, values.shape[1], len(values) // 4))
    components = _principal((rest - mean).astype(np.float32), count)
    reach = np.abs((rest - mean) @ components.T).max(axis=0).astype(np.float32)
    steps = reach / np.float32(127)
    steps = np.where((steps > 0) & np.isfinite(steps), steps, 1)
    defect = components @ components.T - np.eye(count)
    return Plan(
        vectors.astype(np.float32), scores.mean(axis=0), mean, components,
        np.ones(count, np.float32) if options.kind == "float16" else steps.astype(np.float32),
        min(lead, count), options.block, options.kind, float(np.linalg.norm(defect)),
    )  # fmt: skip


def encode(plan: Plan, values: np.ndarray) -> Codes:
    """Codes of latents [N, D]; BadInput on NaN. Exact to float64's rounding."""
    step = max(1, STEP // values.shape[1])
    starts = range(0, max(1, len(values)), step)
    return join_codes([_encode(plan, values[start : start + step]) for start in starts])


def decode(plan: Plan, block: np.ndarray, stage: slice) -> np.ndarray:
    """float32 [N, B]: the components that codes of a stage stand for, but for rounding."""
    decoded = block.astype(np.float32)
    decoded *= plan.scales[stage]
    return decoded


def _encode(plan: Plan, values: np.ndarray) -> Codes:
    check_finite(values, "gallery")
    scores = values @ plan.basis
    rest = values - scores @ plan.basis.T
    centred = rest - plan.mean
    along = centred @ plan.components.T
    lead, *later = plan.stages
    with np.errstate(over="ignore"):  # infinite codes bound nothing and are read in full
        first = np.hstack([scores - plan.middle, along[:, lead]]).T.astype(np.float32)
        blocks = tuple(_rounded(plan, along[:, stage], stage) for stage in later)
    left = np.einsum("nd,nd->n", centred, centred) - np.cumsum(along**2, axis=1).T
    misses = [
        _up(np.linalg.norm(along[:, stage] - block * plan.scales[stage].astype(np.float64), axis=1))
        for stage, block in zip(later, blocks, strict=True)
    ]
    return Codes(
        np.ascontiguousarray(first),
        blocks,
        np.array(misses, np.float32).reshape(len(later), len(values)),
        np.sqrt(np.maximum(left[[stage.stop - 1 for stage in plan.stages]], 0)).astype(np.float32),
        np.einsum("nd,nd->n", rest, rest),
    )


def _rounded(plan: Plan, along: np.ndarray, stage: slice) -> np.ndarray:
    if plan.kind == "float16":
        return np.asarray(np.clip(along, -6e4, 6e4), np.float16)
    return np.asarray(np.clip(np.rint(along / plan.scales[stage]), -127, 127), np.int8)


def _up(values: np.ndarray) -> np.ndarray:
    """float32, never below `values` (float64, off by their own rounding at most)."""
    return np.nextafter((values * (1 + 1e-6)).astype(np.float32), np.float32(np.inf))


def _room(size: int, names: int, options: CodeOptions) -> tuple[int, int]:
    """(leading components, all components) that fit into the bytes of a face."""
    lead = max(1, min(options.lead, size))
    left = options.size - 4 * (names + lead) - 16  # the first tail, |r|^2, the length of the lead
    if left < 0:
        raise BadInput(
            f"{options.size} bytes a face have no room for {names} scores and {lead} "
            "components; allow more bytes, or fewer leading components"
        )
    width = KINDS[options.kind]
    stages, over = divmod(left, options.block * width + 8)
    return lead, lead + stages * options.block + max(0, (over - 8) // width)


def _principal(rows: np.ndarray, count: int) -> np.ndarray:
    """float64 [count, D]: orthonormal, about the first principal components of centred rows.

    Subspace iteration (Halko, Martinsson and Tropp, SIAM Review 2011, algorithm 4.4).
    """
    scale = np.abs(rows).max(initial=0) or 1
    rows = rows / (scale if np.isfinite(scale) else 1)
    width = min(rows.shape[1], count + 16)
    start = np.random.default_rng(0).standard_normal((rows.shape[1], width), np.float32)
    span = np.linalg.qr(rows.T @ (rows @ start))[0]
    for _ in range(3):
        span = np.linalg.qr(rows.T @ (rows @ span))[0]
    inner = rows @ span
    turn = np.linalg.eigh((inner.T @ inner).astype(np.float64))[1][:, ::-1]
    return np.ascontiguousarray(np.linalg.qr(span @ turn[:, :count])[0].T)


def plan_arrays(plan: Plan) -> dict[str, np.ndarray]:
    """A plan as arrays for an .npz; `Plan(**...)` of `plan_from` gives it back."""
    return {field.name: np.asarray(getattr(plan, field.name)) for field in fields(plan)}


def plan_from(arrays: dict[str, np.ndarray]) -> Plan:
    """The plan of `plan_arrays`; KeyError when one is missing."""
    plain = ("lead", "block", "kind", "defect")
    values: dict[str, Any] = {field.name: arrays[field.name] for field in fields(Plan)}
    return Plan(**values | {name: arrays[name].item() for name in plain})

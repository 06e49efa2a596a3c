"""Codes on the disk: a plan a basis, and a file of codes for every shard.

    codes-0123456789ab.npz               the plan for one basis
    codes-0123456789ab-shard-000001.npz  codes of that shard's faces by that plan

Shards never change and their numbers are never used again, so a file of codes
is right as long as its shard is listed; it is swept with its shard, and what is
missing or damaged is encoded again, in memory by readers and on the disk by
`compress`. A plan's components are of many faces, but its scales are each one
face's, so it is fitted anew where faces are to be forgotten.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mien.files import write_bytes
from mien.search import codes as coding
from mien.search._folder import CODES
from mien.search._shard import DAMAGED, Shard, read_rows
from mien.search.bounds import Bounds
from mien.search.codes import CodeOptions, Codes, Plan

Progress = Callable[[int, int, str], None]


def open_bounds(folder: Path, shards: Sequence[Shard], vectors: np.ndarray) -> Bounds | None:
    """The codes of all shards along a basis [D, M]; None when nobody made any."""
    file = _plan_file(folder, vectors)
    plan = _read_plan(file, vectors)[0]
    if plan is None or not shards:
        return None
    name = _name(plan)
    parts = [_read_codes(_codes_file(file, shard), name, plan, len(shard)) for shard in shards]
    encoded = [
        _encoded(plan, shard) if codes is None else codes
        for shard, codes in zip(shards, parts, strict=True)
    ]
    return Bounds(plan, coding.join_codes(encoded))


def write_codes(
    folder: Path,
    shards: Sequence[Shard],
    vectors: np.ndarray,
    options: CodeOptions,
    progress: Progress | None = None,
) -> None:
    """Make what is missing of the plan and the codes; each file is written atomically."""
    file = _plan_file(folder, vectors)
    plan, made_with = _read_plan(file, vectors)
    if plan is None or made_with != options:
        for shard in shards:
            shard.values()  # names the shard of which a latent is no number
        plan = _fit(file, shards, np.arange(sum(map(len, shards))), vectors, options)
    name = _name(plan)
    for number, shard in enumerate(shards):
        if progress is not None:
            progress(number, len(shards), shard.path.name)
        path = _codes_file(file, shard)
        if _read_codes(path, name, plan, len(shard)) is None:
            codes = _encoded(plan, shard)
            blocks = {f"block_{at}": block for at, block in enumerate(codes.blocks)}
            rest = {"misses": codes.misses, "tails": codes.tails, "rest": codes.rest}
            _write(path, {"plan": _text(name), "lead": codes.lead} | rest | blocks)


def refit_plans(folder: Path, shards: Sequence[Shard], keep: np.ndarray) -> None:
    """Fit every plan anew on the faces `keep` (rows through all shards) alone.

    Codes by the plan before count as missing. A plan that cannot be read, and
    every plan when no face is kept, is deleted.
    """
    for file in _plan_files(folder):
        plan, options = _read_plan(file)
        if plan is None or options is None or not len(keep):
            file.unlink()
        else:
            _fit(file, shards, keep, plan.vectors, options)


def encode_all(folder: Path, shards: Sequence[Shard], progress: Progress | None = None) -> None:
    """Make what is missing of the codes by every plan there is."""
    for file in _plan_files(folder):
        plan, options = _read_plan(file)
        if plan is not None and options is not None:
            write_codes(folder, shards, plan.vectors, options, progress)


def code_pieces(folder: Path, shard: Shard, row: int) -> list[np.ndarray]:
    """What lies together in the stored codes of a shard's face: |r|^2, and each block."""
    pieces: list[np.ndarray] = []
    for path in folder.glob(f"codes-*-{shard.path.stem}.npz"):
        with suppress(*DAMAGED), np.load(path, allow_pickle=False) as arrays:
            names = [name for name in arrays if name == "rest" or name.startswith("block_")]
            pieces += [arrays[name][row : row + 1] for name in names]
    return pieces


def _plan_files(folder: Path) -> list[Path]:
    found = ((path, CODES.fullmatch(path.name)) for path in sorted(folder.glob("codes-*.npz")))
    return [path for path, match in found if match and not match["shard"]]


def _fit(
    file: Path, shards: Sequence[Shard], rows: np.ndarray, vectors: np.ndarray,
    options: CodeOptions,
) -> Plan:  # fmt: skip
    """A plan fitted on a sample of the faces `rows`, written."""
    count = len(rows)
    sample = np.unique(np.linspace(0, count - 1, min(count, options.sample)).astype(np.int64))
    plan = coding.fit_plan(read_rows(shards, rows[sample]), vectors, options)
    _write(file, coding.plan_arrays(plan) | {"options": _text(json.dumps(asdict(options)))})
    return plan


def _encoded(plan: Plan, shard: Shard) -> Codes:
    return coding.encode(plan, shard.values().reshape(len(shard), -1))


def _plan_file(folder: Path, vectors: np.ndarray) -> Path:
    return folder / f"codes-{_digest([vectors])}.npz"


def _codes_file(plan: Path, shard: Shard) -> Path:
    return plan.with_name(f"{plan.stem}-{shard.path.stem}.npz")


def _read_plan(
    file: Path, vectors: np.ndarray | None = None
) -> tuple[Plan | None, CodeOptions | None]:
    """The plan and what it was made with; (None, None) if damaged, or along other vectors."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            plan = coding.plan_from(dict(arrays))
            options = CodeOptions(**json.loads(arrays["options"].tobytes()))
    except (*DAMAGED, TypeError):
        return None, None
    same = vectors is None or np.array_equal(plan.vectors, vectors)
    return (plan, options) if same else (None, None)


def _read_codes(path: Path, name: str, plan: Plan, count: int) -> Codes | None:
    """Codes of one shard; None when they are missing, damaged or of another plan."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if arrays["plan"].tobytes().decode() != name:
                return None
            blocks = tuple(arrays[f"block_{at}"] for at in range(len(plan.stages) - 1))
            codes = Codes(arrays["lead"], blocks, arrays["misses"], arrays["tails"], arrays["rest"])
    except DAMAGED:
        return None
    return codes if len(codes) == count else None


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue())


def _name(plan: Plan) -> str:
    return _digest(list(coding.plan_arrays(plan).values()))


def _digest(arrays: list[np.ndarray]) -> str:
    digest = hashlib.blake2b(digest_size=6)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _text(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)

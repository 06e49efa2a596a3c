"""A training run's folder: log.jsonl, TensorBoard events, and a checkpoint to resume from.

Random numbers are drawn from (seed, step), never from a running state, so a
resumed run sees the same batches, flips and noise as an uninterrupted one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from mien.errors import BadInput
from mien.files import atomic_open

CHECKPOINT = "checkpoint.pt"


class Run:
    """Logs and resumes one training under `folder`."""

    def __init__(self, folder: Path, tensorboard: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.writer = event_writer(folder) if tensorboard else None

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line to log.jsonl and the scalars to TensorBoard."""
        line = {"step": step, **{key: round(float(value), 6) for key, value in values.items()}}
        with open(self.folder / "log.jsonl", "a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")
        if self.writer is not None:
            for key, value in values.items():
                self.writer.add_scalar(key, value, step)

    def save(self, step: int, **parts: Any) -> None:
        """Write the checkpoint atomically; `parts` are state dicts or plain values."""
        with atomic_open(self.folder / CHECKPOINT) as handle:
            torch.save({"step": step, **parts}, handle)

    def read(self) -> dict[str, Any] | None:
        """The checkpoint's parts with "step", or None at a fresh start; changes nothing."""
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return None
        parts: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return parts

    def resume(self) -> dict[str, Any] | None:
        """The checkpoint's parts with "step", or None at a fresh start.

        Log lines after the checkpoint's step are dropped: they will be written again.
        """
        parts = self.read()
        if parts is None:
            return None
        log = self.folder / "log.jsonl"
        if log.is_file():
            lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if json.loads(line)["step"] <= parts["step"]]
            log.write_text("".join(kept), encoding="utf-8")
        return parts

    def restore(self, state: Loads) -> int:
        """Load the checkpoint into `state`; the step to go on from, 0 at a fresh start."""
        saved = self.resume()
        if saved is None:
            return 0
        state.load(saved)
        return int(saved["step"])


def checkpoint_of(folder: Path) -> dict[str, Any]:
    """The parts of a run's last checkpoint; BadInput when there is none yet."""
    saved = Run(folder, tensorboard=False).read() if folder.is_dir() else None
    if saved is None:
        raise BadInput(f"{folder} has no checkpoint yet; train first")
    return saved


def half_precision(state: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """A state dict as model folders keep it: float32 as float16, all else as it is."""
    arrays = {key: value.detach().cpu().contiguous().numpy() for key, value in state.items()}
    return {key: _halved(value) for key, value in arrays.items()}


class Loads(Protocol):
    """What learns in a training."""

    def load(self, saved: dict[str, Any]) -> None:
        """Restore what a checkpoint holds."""
        ...


def generator(seed: int, step: int) -> torch.Generator:
    """The random numbers of one training step."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def batch_indices(count: int, batch: int, step: int, seed: int) -> np.ndarray:
    """Rows of one step: epochs are seeded permutations, the last partial batch is dropped."""
    per_epoch = max(count // batch, 1)
    epoch, place = divmod(step, per_epoch)
    order = np.random.default_rng((seed, epoch)).permutation(count)
    return np.sort(order[place * batch : (place + 1) * batch])


def check_batch(batch: int, faces: int) -> None:
    """Raise BadInput for a batch of more faces than there are: an epoch would have no step."""
    if batch > faces:
        raise BadInput(f"batch={batch} is more than the {faces} photos to learn from; give fewer")


def event_writer(folder: Path) -> Any:
    """A SummaryWriter into folder/tensorboard, or None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:  # the log beside it holds the same numbers
        return None
    return SummaryWriter(str(folder / "tensorboard"))


def _halved(value: np.ndarray) -> np.ndarray:
    """float32 in float16, unless a value would leave its range, as variances can."""
    fits = value.dtype == np.float32 and np.abs(value).max(initial=0) < np.finfo(np.float16).max
    return value.astype(np.float16) if fits else value


def passed(done: int, every: int, batch: int) -> bool:
    """Whether the last `batch` of `done` photos contained a multiple of `every`."""
    return done // every > (done - batch) // every

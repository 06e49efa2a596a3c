"""One training on several devices: processes that `accelerate launch` or torchrun started.

All draw the same batch, and each takes its rows of it. Losses are means over equal shares,
so the mean of the gradients is the gradient of the whole batch: the training is that of one
process, but for rounding, on any number of devices. A process started alone computes on
the CPU and imports nothing of accelerate.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from mien.errors import BadInput, MissingExtra

if TYPE_CHECKING:
    import torch

LAUNCHED = ("LOCAL_RANK", "ACCELERATE_MIXED_PRECISION")  # one of them is set in every process
PATIENCE = timedelta(hours=2)  # for the main process, while it reads photos or draws grids
LEFT = 2  # exit code of processes whose main one said what is wrong


class Devices:
    """The processes of a training, seen from one of them.

    rank: which one this is, from 0, the main one, which alone writes. device: where it computes.
    """

    def __init__(self, state: Any = None) -> None:
        """state: accelerate's PartialState; None for a process alone."""
        self._state = state
        self.processes: int = state.num_processes if state else 1
        self.rank: int = state.process_index if state else 0
        self.device: str = str(state.device) if state else "cpu"
        self.main = self.rank == 0

    @contextmanager
    def first(self) -> Iterator[None]:
        """The main process does the block before the others do; where it fails, they just leave.

        So bad input is said once, and what the main process caches the others find.
        """
        if not self.main and not self.told(False):
            raise SystemExit(LEFT)
        try:
            yield
        except BaseException:
            if self.main:
                self.told(False)
            raise
        if self.main:
            self.told(True)

    def told(self, value: Any) -> Any:
        """The main process's value, in all of them."""
        if self.processes == 1:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]

    def check(self, faces: int) -> None:
        """Raise BadInput for a batch that cannot be shared equally."""
        if faces % self.processes:
            raise BadInput(
                f"a batch of {faces} faces cannot be shared equally among {self.processes} "
                f"processes; make it a multiple of {self.processes}"
            )

    def share(self, whole: torch.Tensor) -> torch.Tensor:
        """This process's rows of a batch [N, ...], on its device."""
        count = len(whole) // self.processes
        return whole[self.rank * count : (self.rank + 1) * count].to(self.device)

    def average(self, optimiser: torch.optim.Optimizer) -> None:
        """Give the optimiser's parameters the mean of all processes' gradients."""
        if self.processes == 1:
            return
        import torch

        parameters = [each for group in optimiser.param_groups for each in group["params"]]
        gradients = [each.grad for each in parameters if each.grad is not None]
        flat = self._mean(torch.cat([gradient.flatten() for gradient in gradients]))
        means = flat.split([gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view(gradient.shape))

    def mean(self, terms: Mapping[str, torch.Tensor]) -> dict[str, float]:
        """Means of scalars by name over all processes."""
        import torch

        values = self._mean(torch.stack([value.float() for value in terms.values()]))
        return dict(zip(terms, values.tolist(), strict=True))

    def leave(self) -> None:
        """End the talk with the others, each of which may now take its own time."""
        if self._state is not None:
            self._state.destroy_process_group()

    def _mean(self, values: torch.Tensor) -> torch.Tensor:
        if self.processes == 1:
            return values
        from accelerate.utils import reduce

        mean: torch.Tensor = reduce(values, "mean")
        return mean


@cache
def open_devices() -> Devices:
    """The processes that this one was launched with.

    Raises MissingExtra where accelerate is not installed, and BadInput for several
    processes that it cannot join.
    """
    if not any(name in os.environ for name in LAUNCHED):
        return Devices()
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise MissingExtra(
            "several processes need accelerate: pip install 'mien[devices]'"
        ) from error
    import torch

    # accelerate joins processes on CPUs only when told that they are to stay there
    asked = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true")
    cpu = asked or not torch.accelerator.is_available()
    state = PartialState(cpu=cpu, timeout=PATIENCE)
    atexit.register(state.destroy_process_group)  # gloo's threads abort a process that just ends
    launched = int(os.environ.get("WORLD_SIZE", 1))
    if state.num_processes != launched:
        raise BadInput(
            f"accelerate joined {state.num_processes} of {launched} processes on {state.device}; "
            "set ACCELERATE_USE_CPU=true to train on CPUs"
        )
    return Devices(state)

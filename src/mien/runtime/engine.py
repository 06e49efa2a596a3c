"""Which engine runs a network: PyTorch, the reference, or OpenVINO, faster on CPUs.

OpenVINO (the extra `fast`) fuses what follows a convolution into it and uses the
matrix units of CPUs with AMX in bf16.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any

import torch
from torch import nn

from mien.errors import MissingExtra, UnknownName
from mien.runtime import precision

ENGINES = ("torch", "openvino")
_current: ContextVar[str] = ContextVar("engine", default="torch")

Tensors = Callable[[torch.Tensor], torch.Tensor]


def current() -> str:
    """The engine of the innermost `engine` block."""
    return _current.get()


def is_reading() -> bool:
    """Whether another engine reads the network now; layers then speak in plain operations."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def use(name: str) -> Token[str]:
    """Choose the engine for this thread from here on; prefer a block of `engine`."""
    if name not in ENGINES:
        raise UnknownName("engine", name, ENGINES)
    if name == "openvino":
        openvino()
    return _current.set(name)


@contextmanager
def engine(name: str) -> Iterator[None]:
    """Run every `Runner` inside the block by "torch" or "openvino".

    OpenVINO computes in fp32, or inside a block `precision` in bf16, where the CPU has units
    for it, or 8 bits. Raises UnknownName, and MissingExtra where OpenVINO is not installed.
    """
    token = use(name)
    try:
        yield
    finally:
        _current.reset(token)


class Runner:
    """A frozen network of one tensor, run by the engine of the caller's block.

    OpenVINO reads the network once for batches of 1, 2, 4, ... (seconds for a large
    one), and each thread keeps a compiled copy. Where gradients are wanted, PyTorch runs.
    """

    def __init__(self, network: Tensors, rounded: Callable[[], Tensors] | None = None) -> None:
        """network: each row of what it gives must depend on the same row it is given alone.

        rounded: makes its form in 8 bits, for precision "int8"; without one that is bf16.
        """
        self.network, self._rounded = network, rounded
        self._read: dict[tuple[object, ...], Any] = {}
        self._threads = threading.local()
        self._lock = threading.Lock()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """What the network gives for x [N, ...], N from 1; OpenVINO's in fp32."""
        if current() == "torch" or torch.is_grad_enabled():
            return self.network(x)
        count = len(x)
        if count & (count - 1):  # not a power of two
            x = torch.cat([x, x[:1].expand(2 ** count.bit_length() - count, *x.shape[1:])])
        result = self._compiled(x)(x.float().contiguous().numpy())[0]
        return torch.from_numpy(result[:count].copy())  # the engine writes its next result there

    def _compiled(self, x: torch.Tensor) -> Any:
        kept: dict[str, Any] = self._threads.__dict__
        at = precision.current()
        rounded = self._rounded if at == "int8" else None
        threads = torch.get_num_threads()
        key = str((tuple(x.shape), at, threads))
        if key not in kept:
            form = (tuple(x.shape), rounded is not None)
            with self._lock:
                if form not in self._read:
                    network = _made(rounded) if rounded else self.network
                    self._read[form] = _read(network, x)
            exact = at == "fp32" or not precision.has_bf16()  # OpenVINO would emulate it, slowly
            options = {
                "INFERENCE_PRECISION_HINT": "f32" if exact else "bf16",
                "INFERENCE_NUM_THREADS": threads,
                "PERFORMANCE_HINT": "LATENCY",
            }
            kept[key] = openvino().Core().compile_model(self._read[form], "CPU", options)
        return kept[key]


class _Module(nn.Module):
    """What tracing asks for in the place of any other callable."""

    def __init__(self, network: Tensors) -> None:
        super().__init__()
        self.forward = network


def _made(rounded: Callable[[], Tensors]) -> Tensors:
    """A network in 8 bits, whatever the caller's blocks say: its ranges are those of fp32."""
    exact = torch.autocast("cpu", enabled=False)
    with engine("torch"), torch.inference_mode(False), torch.no_grad(), exact:
        return rounded()


def _read(network: Tensors, x: torch.Tensor) -> Any:
    """OpenVINO's model of a network, for inputs of x's shape."""
    example = torch.zeros(x.shape)  # inference tensors cannot be traced
    module = network if isinstance(network, nn.Module) else _Module(network)
    quiet = warnings.catch_warnings(action="ignore")  # of sizes taken as constants, as they are
    with quiet, torch.inference_mode(False), torch.no_grad(), torch.autocast("cpu", enabled=False):
        traced = torch.jit.trace(module, example, check_trace=False)
        return openvino().convert_model(traced, example_input=example)


def openvino() -> Any:
    """The module, which tells nobody. Raises MissingExtra where it is not installed."""
    # It reports every network it reads to its makers unless this module is missing, and mien
    # opens no connection unasked.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino as module
    except ImportError as error:
        raise MissingExtra('the engine openvino needs: pip install "mien[fast]"') from error
    return module

"""fp32 is the reference; bf16 is faster on CPUs with units for it, int8 on most."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING

from mien.errors import UnknownName

if TYPE_CHECKING:
    import torch

PRECISIONS = ("fp32", "bf16", "int8")
_whole: ContextVar[bool] = ContextVar("whole", default=False)


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Run every network inside the block at "fp32", "bf16" (autocast) or "int8".

    int8 is bf16, but for the convolutions of encoders and translators, which the engine
    "openvino" computes in 8 bits (see `quantise`). On a CPU without units for bf16 that engine
    computes in fp32 instead; PyTorch emulates bf16, slowly. Values at room doors stay float32.
    A test holds bf16 faces of the embedded VAE above 35 dB of the fp32 ones. Raises UnknownName.
    """
    if name not in PRECISIONS:
        raise UnknownName("precision", name, PRECISIONS)
    if name == "fp32":
        yield
        return
    import torch

    token = _whole.set(name == "int8")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            yield
    finally:
        _whole.reset(token)


@cache
def has_bf16() -> bool:
    """Whether the CPU has units for bf16; without them PyTorch emulates it, 2 to 3 times slower."""
    import torch

    known = getattr(torch.cpu, "get_capabilities", None)  # older PyTorch cannot tell
    if known is None:
        return True
    found = known()
    return any(found.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))  # the last is ARM's


def autocast(enabled: bool, device: str = "cpu") -> torch.autocast:
    """PyTorch's autocast to bf16, for training."""
    import torch

    return torch.autocast(device, torch.bfloat16, enabled=enabled)


def quickest(device: str = "cpu") -> torch.autocast:
    """bf16 where it is the quicker one, fp32 on a CPU without units for it."""
    return autocast(device != "cpu" or has_bf16(), device)


def use(name: str) -> None:
    """Choose the precision for this thread from here on; prefer a block of `precision`."""
    import torch

    torch.set_autocast_enabled("cpu", name != "fp32")
    torch.set_autocast_dtype("cpu", torch.bfloat16)
    _whole.set(name == "int8")


def current() -> str:
    """The precision of the innermost `precision` block."""
    import torch

    if not torch.is_autocast_enabled("cpu"):
        return "fp32"
    return "int8" if _whole.get() else "bf16"

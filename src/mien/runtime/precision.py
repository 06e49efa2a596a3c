"""fp32 is the reference; bf16 and int8 are faster on CPUs with AMX."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from mien.errors import UnknownName

PRECISIONS = ("fp32", "bf16", "int8")
_whole: ContextVar[bool] = ContextVar("whole", default=False)


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Run every network inside the block at "fp32", "bf16" (autocast) or "int8".

    int8 is bf16, but for the convolutions of encoders and translators, which the engine
    "openvino" computes in 8 bits (see `quantise`). Values at room doors stay float32. A test
    holds bf16 faces of the embedded VAE above 35 dB of the fp32 ones. Raises UnknownName.
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

"""fp32 is the reference; bf16 is faster on CPUs with AMX."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mien.errors import UnknownName

PRECISIONS = ("fp32", "bf16")


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Run every network inside the block at "fp32" or "bf16" (autocast).

    Values at room doors stay float32. A test holds bf16 faces of the
    embedded VAE above 35 dB of the fp32 ones. Raises UnknownName.
    """
    if name not in PRECISIONS:
        raise UnknownName("precision", name, PRECISIONS)
    if name == "fp32":
        yield
        return
    import torch

    with torch.autocast("cpu", torch.bfloat16):
        yield


def current() -> str:
    """The precision of the innermost `precision` block."""
    import torch

    return "bf16" if torch.is_autocast_enabled("cpu") else "fp32"

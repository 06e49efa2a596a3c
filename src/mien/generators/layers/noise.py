"""Noise maps of a style-based generator: which ones a caller asked for, and a layer's own."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mien.errors import BadInput

Noise = str | Sequence[torch.Tensor]
KINDS = ("stored", "random", "none")


def a_layer(noise: Noise, layers: int) -> Sequence[str | torch.Tensor]:
    """What each of the layers is told: a kind of noise, or its map.

    Raises BadInput for another kind or number of maps.
    """
    if not isinstance(noise, str):
        if len(noise) != layers:
            raise BadInput(f"got {len(noise)} noise maps, this model has {layers}")
        return noise
    if noise not in KINDS:
        raise BadInput(f'noise is {noise!r}, expected "stored", "random", "none" or maps')
    return [noise] * layers


def drawn(noise: str | torch.Tensor, stored: torch.Tensor, count: int) -> torch.Tensor | None:
    """The map of a layer whose own is `stored` [H, W]: [1 or `count`, 1, H, W], or None."""
    if isinstance(noise, torch.Tensor):
        return noise
    if noise == "none":
        return None
    if noise == "stored":
        return stored[None, None]
    return torch.randn(count, 1, *stored.shape, device=stored.device)

"""What a layer makes of its weight, kept until the weight changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import nn


class Keeping(nn.Module):
    """A layer that prepares its weight in several forms, each once."""

    weight: nn.Parameter

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[str, tuple[tuple[int, int], torch.Tensor]] = {}

    def kept(self, form: str, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """What `make` gave when the weight was last changed, without its gradient."""
        weight = self.weight
        state = weight.data_ptr(), 0 if weight.is_inference() else weight._version
        if form not in self._kept or self._kept[form][0] != state:
            # outside inference mode, as gradients of the features may pass through it later
            with torch.inference_mode(False), torch.no_grad():
                self._kept[form] = state, make()
        return self._kept[form][1]

    def train(self, mode: bool = True) -> Self:
        """Also forgets what was prepared, should weights change behind autograd's back."""
        self._kept.clear()
        return super().train(mode)

    def _load_from_state_dict(self, *args: Any) -> None:
        self._kept.clear()  # weights of inference mode count no versions
        super()._load_from_state_dict(*args)

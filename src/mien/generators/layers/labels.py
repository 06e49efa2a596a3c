"""Labels of a conditional model."""

from __future__ import annotations

import torch

from mien.errors import BadInput


def given(labels: torch.Tensor | None) -> torch.Tensor:
    """The labels [N, classes], without which a conditional model raises BadInput."""
    if labels is None:
        raise BadInput("this model is conditional; give labels [N, classes]")
    return labels

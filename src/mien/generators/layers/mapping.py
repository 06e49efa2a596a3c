"""The mapping network, z to w, and truncation.

Karras et al., "A Style-Based Generator Architecture for GANs" (CVPR 2019), section 2, appendix B;
labels as in "Training GANs with Limited Data" (NeurIPS 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from mien.generators.layers.equalised import Linear, activate, normalise
from mien.generators.layers.labels import given


class Mapping(nn.Module):
    """z [N, D], and labels [N, classes] of a conditional model, to w [N, D].

    widths: of z, of each layer's output in turn; z may be 0 wide when labels are given.
    joint: labels join z before it is normalised (the TensorFlow original), not after.
    """

    def __init__(
        self, widths: Sequence[int], rate: float = 0.01, labels: int = 0, joint: bool = False
    ) -> None:
        super().__init__()
        embedded = (widths[0] if joint else widths[-1]) if labels else 0
        self.embed = Linear(labels, embedded) if labels else None
        self.joint = joint
        sides = pairwise([widths[0] + embedded, *widths[1:]])
        self.layers = nn.ModuleList(Linear(before, after, rate) for before, after in sides)

    def forward(self, z: torch.Tensor | None, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Rows are normalised first."""
        parts = [z.float()] if z is not None and z.shape[1] else []
        if self.embed is not None:
            parts.append(self.embed(given(labels)))
        whole = self.joint or len(parts) == 1
        x = normalise(torch.cat(parts, 1)) if whole else torch.cat(list(map(normalise, parts)), 1)
        for layer in self.layers:
            x = activate(layer(x))
        return x


def truncate(
    styles: torch.Tensor, average: torch.Tensor,
    truncation: float | Sequence[float] | torch.Tensor, layers: int | None = None,
) -> torch.Tensor:  # fmt: skip
    """w+ [N, L, D] whose distance from the average [D] is multiplied by `truncation`.

    truncation: one number, or one a row. layers: how many rows from the first (None = all).
    """
    factors = torch.as_tensor(truncation, dtype=styles.dtype, device=styles.device)
    factors = factors.expand(styles.shape[1]).clone()
    factors[len(factors) if layers is None else layers :] = 1
    if bool((factors == 1).all()):
        return styles
    return torch.lerp(average, styles, factors[:, None])

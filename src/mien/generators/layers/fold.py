"""Batch normalisation folded into the convolutions before it: fewer passes at inference."""

from __future__ import annotations

from torch import nn
from torch.nn.utils import fuse_conv_bn_eval


def fold_norms(network: nn.Module) -> None:
    """Fold every BatchNorm2d that follows a convolution into it, in eval mode and in place."""
    before: tuple[str, nn.Conv2d] | None = None
    for name, child in list(network.named_children()):
        if isinstance(child, nn.BatchNorm2d) and before is not None:
            setattr(network, before[0], fuse_conv_bn_eval(before[1], child))
            setattr(network, name, nn.Identity())
        elif not isinstance(child, nn.Conv2d):
            fold_norms(child)
        before = (name, child) if isinstance(child, nn.Conv2d) else None

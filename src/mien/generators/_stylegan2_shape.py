"""Sizes of StyleGAN2's generator and discriminator."""

from __future__ import annotations

from dataclasses import dataclass

from mien.errors import BadInput
from mien.generators._sizes import Styled, resolutions
from mien.generators.layers.resample import TAPS

FORMS = ("skip", "resnet", "orig")  # the paper's figure 7: skips of pictures, of features, none


@dataclass(frozen=True)
class Architecture(Styled):
    """Sizes of generator and discriminator; saved in the card, rebuilds them."""

    size: int = 64  # px, a power of two from 8
    latent: int = 512  # D, of z and w
    layers: int = 8  # of the mapping
    base: int = 32768  # channels at resolution r are min(base // r, most)
    most: int = 512
    widths: tuple[int, ...] | None = None  # channels at 4, 8, ... size where that rule fails
    form: str = "skip"  # of the generator
    labels: int = 0  # classes, for conditional models
    joint: bool = False  # labels join z before it is normalised (layers/mapping.py)
    clamp: float | None = None  # features are cut to [-clamp, clamp] behind each convolution
    noise: bool = True
    taps: tuple[float, ...] = TAPS  # of the resampling filter
    z: int | None = None  # width of z where it is not that of w
    hidden: int | None = None  # width of the mapping where it is not that of w
    rate: float = 0.01  # learning rate multiplier of the mapping

    def __post_init__(self) -> None:
        for name in ("widths", "taps"):  # lists when they come from a card
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        resolutions(self.size)  # raises
        if self.form not in FORMS:
            raise BadInput(f"form is {self.form!r}, expected one of {', '.join(FORMS)}")

    @property
    def levels(self) -> list[int]:
        """Resolutions 4, 8, ... size."""
        return resolutions(self.size)

    @property
    def channels(self) -> list[int]:
        """Channels at each level."""
        if self.widths is not None:
            return list(self.widths)
        return [min(self.base // level, self.most) for level in self.levels]


@dataclass(frozen=True)
class Critic:
    """What a discriminator has beyond the sizes in its Architecture."""

    form: str = "resnet"  # as in the paper's figure 7
    group: int | None = 4  # faces over which the deviation is taken; None = the batch
    deviations: int = 1  # feature maps of deviations; 0 = none
    hidden: int | None = None  # width before the score where it is not that of the last level
    mapping: int = 0  # layers that map labels; 0 = one score a class (the TensorFlow original)
    mapped: int | None = None  # width of mapped labels where it is not that of the last level

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise BadInput(f"form is {self.form!r}, expected one of {', '.join(FORMS)}")

"""Two discriminators behind one call: StyleGAN2's own and the projected one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import nn

from mien.errors import UnknownName
from mien.generators.stylegan2 import Architecture, Discriminator
from mien.train.adversarial import (
    critic_hinge,
    critic_logistic,
    generator_hinge,
    generator_logistic,
    r1,
)
from mien.train.projected import Projected

KINDS = ("own", "projected")


class Adversary(nn.Module, ABC):
    """Projects faces to what is judged, judges it, and knows its losses."""

    hinge = False

    def turn(self, step: int) -> None:
        """Say which step comes next, where not all are alike."""

    @abstractmethod
    def project(self, faces: torch.Tensor) -> list[torch.Tensor]:
        """Faces [N, 3, S, S] in [-1, 1] -> maps, with gradients to the faces."""

    @abstractmethod
    def logits(self, maps: Sequence[torch.Tensor], photos: bool) -> list[torch.Tensor]:
        """Maps of photos or of samples -> logits, positive for photos."""

    def learning(self) -> list[nn.Parameter]:
        """The parameters that learn."""
        return list(self.parameters())

    def teach(self, on: bool) -> None:
        """Let gradients reach the parameters that learn, or not."""
        for parameter in self.learning():
            parameter.requires_grad_(on)

    def critic_loss(
        self, real: Sequence[torch.Tensor], fake: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Loss of the discriminator, fp32."""
        return (critic_hinge if self.hinge else critic_logistic)(real, fake)

    def generator_loss(self, fake: Sequence[torch.Tensor]) -> torch.Tensor:
        """Loss of the generator, fp32."""
        return (generator_hinge if self.hinge else generator_logistic)(fake)

    def penalty(self, faces: torch.Tensor) -> torch.Tensor:
        """R1 at photos [N, 3, S, S], fp32."""
        return r1(
            lambda x: torch.cat([y.flatten() for y in self.logits(self.project(x), True)]), faces
        )


class OwnAdversary(Adversary):
    """StyleGAN2's discriminator with the logistic loss."""

    def __init__(self, shape: Architecture, compiled: bool) -> None:
        super().__init__()
        self.network = Discriminator(shape)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.judge = torch.compile(self.network.forward) if compiled else self.network.forward

    def project(self, faces: torch.Tensor) -> list[torch.Tensor]:
        """The faces themselves."""
        return [faces]

    def logits(self, maps: Sequence[torch.Tensor], photos: bool) -> list[torch.Tensor]:
        """One logit a face."""
        return [self.judge(faces) for faces in maps]

    def penalty(self, faces: torch.Tensor) -> torch.Tensor:
        """R1 at photos; not compiled, for want of second derivatives there."""
        return r1(self.network, faces)


class ProjectedAdversary(Adversary):
    """Projected's heads with the hinge loss."""

    hinge = True

    def __init__(self, shape: Architecture, trunk: str) -> None:
        super().__init__()
        self.network = Projected(shape.size, trunk)

    def turn(self, step: int) -> None:
        """Every other step looks closely."""
        self.network.close = step % 2 == 1

    def project(self, faces: torch.Tensor) -> list[torch.Tensor]:
        """Mixed feature maps at four scales."""
        return self.network.project(faces)

    def logits(self, maps: Sequence[torch.Tensor], photos: bool) -> list[torch.Tensor]:
        """A map of logits a scale."""
        return self.network.logits(maps, photos)

    def learning(self) -> list[nn.Parameter]:
        """The heads alone."""
        return [*self.network.heads.parameters(), *self.network.close_heads.parameters()]


def open_adversary(kind: str, shape: Architecture, trunk: str, compiled: bool) -> Adversary:
    """A fresh discriminator; UnknownName for a kind other than "own" and "projected"."""
    if kind not in KINDS:
        raise UnknownName("discriminator", kind, KINDS)
    if kind == "own":
        return OwnAdversary(shape, compiled)
    return ProjectedAdversary(shape, trunk)

"""Options of a VAE training, its schedule, and what learns in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from mien.checks import check_numbers
from mien.errors import BadInput
from mien.generators.vae import Architecture, Network
from mien.train.patches import PatchCritic


@dataclass(frozen=True)
class Recipe:
    """Options of one VAE training."""

    shape: Architecture = field(default_factory=Architecture)
    half_epochs: float = 4.0  # at half size, where a step costs less
    full_epochs: float = 4.5
    fine_epochs: float = 3.0  # at full size with `fine_kl`, and against the discriminator
    batch: int = 32
    rate: float = 1.2e-3  # AdamW peak, cosine decay to a fiftieth, before the fine stage
    fine_rate: float = 8e-4  # the same in the fine stage
    critic_rate: float = 4e-4  # Adam's of the discriminator, constant
    sharpen: float = 0.4  # length of the adversarial gradient, in lengths of the other losses'
    feature: float = 0.06  # weight of the deep-feature distance
    window: int = 96  # px, random square in which features are compared at full size
    kl: float = 3e-5  # weight of a nat before the fine stage
    fine_kl: float = 4e-6  # weight of a nat in it: small, so that latents keep detail
    warm: int = 300  # steps until rate, kl and sharpen reach their values
    average: float = 0.997  # of the weights, a step
    seed: int = 0
    every: int = 200  # steps between checkpoints
    tested: int = 500  # test photos the card's numbers come from

    def __post_init__(self) -> None:
        check_numbers(self, shares=("average",))
        if not self.half_epochs + self.full_epochs + self.fine_epochs > 0:
            raise BadInput("half_epochs, full_epochs and fine_epochs are 0; give one of them more")

    def steps(self, faces: int) -> tuple[int, int, int]:
        """Steps at half size, until the fine stage, in all."""
        epoch = faces // self.batch
        half, full, fine = (
            round(epochs * epoch)
            for epochs in (self.half_epochs, self.full_epochs, self.fine_epochs)
        )
        return half, half + full, half + full + fine


@dataclass
class State:
    """What learns and what is saved."""

    network: Network
    averaged: Any  # torch's AveragedModel
    optimiser: torch.optim.Optimizer
    critic: PatchCritic
    critic_optimiser: torch.optim.Optimizer

    def parts(self) -> dict[str, Any]:
        """State dicts by name."""
        return {name: getattr(self, name).state_dict() for name in self.__dataclass_fields__}

    def load(self, saved: dict[str, Any]) -> None:
        """Restore what `parts` gave."""
        for name in self.__dataclass_fields__:
            getattr(self, name).load_state_dict(saved[name])


def start(recipe: Recipe) -> State:
    """Networks with weights of the recipe's seed, the average and the optimisers."""
    torch.manual_seed(recipe.seed)
    network = Network(recipe.shape)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.average),
        use_buffers=True,
    )  # fmt: skip
    optimiser = torch.optim.AdamW(
        network.parameters(), recipe.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
    )
    critic = PatchCritic()
    critic_optimiser = torch.optim.Adam(
        critic.parameters(), recipe.critic_rate, betas=(0.5, 0.99), fused=True
    )
    return State(network, averaged, optimiser, critic, critic_optimiser)


@dataclass(frozen=True)
class Weights:
    """What the schedule says of one step."""

    rate: float  # of AdamW
    kl: float
    sharpen: float


def schedule(step: int, stages: Sequence[int], recipe: Recipe) -> Weights:
    """Two cosines, before and in the fine stage; kl and sharpen grow over `warm` steps."""
    _, fine, steps = stages
    if step < fine:
        rise = min(1.0, (step + 1) / recipe.warm)
        return Weights(_rate(step, fine, recipe.rate, recipe.warm), recipe.kl * rise, 0.0)
    step, steps = step - fine, steps - fine
    rise = min(1.0, (step + 1) / recipe.warm)
    rate = _rate(step, steps, recipe.fine_rate, recipe.warm)
    return Weights(rate, recipe.fine_kl, recipe.sharpen * rise)


def _rate(step: int, steps: int, peak: float, warm: int) -> float:
    """Linear warm-up, then a cosine to a fiftieth of the peak."""
    if step < warm:
        return peak * (step + 1) / warm
    share = (step - warm) / max(1, steps - warm)
    return peak * (0.02 + 0.98 * 0.5 * (1 + float(np.cos(np.pi * share))))

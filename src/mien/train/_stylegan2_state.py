"""Options of a StyleGAN2 training, and what learns in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from mien.checks import check_numbers
from mien.errors import UnknownName
from mien.generators.stylegan2 import Architecture, Generator
from mien.train._adversaries import KINDS, Adversary, open_adversary
from mien.train.adversarial import PathLength
from mien.train.diff_augment import Adaptive
from mien.train.projected import TAPS
from mien.train.teacher import Teacher

AUGMENTATIONS = ("none", "fixed", "adaptive")
LEARNING = ("generator", "averaged", "adversary", "optimiser", "critic_optimiser", "tutor")


@dataclass(frozen=True)
class Recipe:
    """Options of one StyleGAN2 training."""

    shape: Architecture = field(
        default_factory=lambda: Architecture(latent=128, layers=2, base=2048, most=256)
    )
    discriminator: str = "projected"  # on ImageNet features; or "own": StyleGAN2's, with R1
    critic_base: int = 1024  # channels of the own one at resolution r: critic_base / r
    trunk: str = "efficientnet_lite0"  # of the projected one; MobileNetV2 does the measuring
    images: int = 300_000  # photos shown, repeats counted
    teach: int = 60_000  # photos during which it only draws photos of vae-128's latents
    teach_rate: float = 0.01  # Adam's meanwhile, the mapping's learning as fast as all others
    copies: float = 0.125  # share of a batch that it draws so afterwards
    pull: float = 6.0  # the discriminator's gradient at those, over that of drawing them
    ramp: int = 4_000  # photos, after `teach`, in which that ratio grows from 0
    feature: float = 0.1  # weight of deep features in drawing photos
    batch: int = 16
    rate: float = 1.5e-3  # Adam's for the generator, constant
    critic_rate: float = 1.4e-3  # Adam's for the discriminator, constant
    mixing: float = 0.1  # share of faces with two styles
    augmentation: str = "fixed"  # "none", "fixed" or "adaptive"
    share: float = 0.1  # probability of each fixed augmentation
    beyond: float = 10.0  # weight of the mean squared excess over [-1, 1], clipped otherwise
    r1: float = 0.05  # gamma, of the own discriminator
    r1_every: int = 16  # steps
    path: float = 0.0  # weight of the path length; 2 as published, at a third more time
    path_every: int = 8  # steps
    average: int = 10_000  # photos in which an averaged weight forgets half
    compiled: bool = False  # fuse element-wise work by torch.compile
    seed: int = 0
    every: int = 4_000  # photos between checkpoints
    watch_every: int = 16_000  # photos between sample grids and distances
    watched: int = 2_000  # samples a distance is measured on
    measured: int = 5_000  # samples of the card's distance

    def __post_init__(self) -> None:
        for what, value, known in (
            ("discriminator", self.discriminator, KINDS),
            ("trunk", self.trunk, TAPS),
            ("augmentation", self.augmentation, AUGMENTATIONS),
        ):
            if value not in known:
                raise UnknownName(what, value, known)
        least = {"teach": 0, "average": 0, "watched": 2, "measured": 2}
        check_numbers(self, least, shares=("copies", "mixing", "share"))


@dataclass
class State:
    """What learns and what is saved."""

    generator: Generator
    averaged: Generator
    adversary: Adversary
    optimiser: torch.optim.Optimizer
    critic_optimiser: torch.optim.Optimizer
    path: PathLength
    adaptive: Adaptive
    fast: Callable[..., torch.Tensor]  # the synthesis, compiled or not

    teacher: Teacher | None  # None where the recipe does not teach
    tutor: torch.optim.Optimizer  # while it only teaches

    def parts(self) -> dict[str, Any]:
        """State dicts and numbers by name."""
        saved = {name: getattr(self, name).state_dict() for name in LEARNING}
        return saved | {"path": self.path.mean, "share": self.adaptive.share}

    def load(self, saved: dict[str, Any]) -> None:
        """Restore what `parts` gave."""
        for name in LEARNING:
            getattr(self, name).load_state_dict(saved[name])
        self.path.mean, self.adaptive.share = saved["path"], saved["share"]


def start(recipe: Recipe) -> State:
    """Networks with weights of the recipe's seed, their averages and optimisers."""
    torch.manual_seed(recipe.seed)
    network = Generator(recipe.shape)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = Generator(recipe.shape).requires_grad_(False)
    averaged.load_state_dict(network.state_dict())
    judged = replace(recipe.shape, base=recipe.critic_base)
    adversary = open_adversary(recipe.discriminator, judged, recipe.trunk, recipe.compiled)
    fast = torch.compile(network.synthesis) if recipe.compiled else network.synthesis
    return State(
        network, averaged, adversary,
        torch.optim.Adam(network.parameters(), recipe.rate, betas=(0.0, 0.99), fused=True),
        torch.optim.Adam(adversary.learning(), recipe.critic_rate, betas=(0.0, 0.99), fused=True),
        PathLength(torch.zeros(())), Adaptive(), fast,
        Teacher(recipe.trunk, recipe.feature) if recipe.teach else None, _tutor(network, recipe),
    )  # fmt: skip


def _tutor(network: Generator, recipe: Recipe) -> torch.optim.Optimizer:
    """Adam without the mapping's slower rate, which is for styles that nobody prescribes."""
    mapping, rest = network.mapping.parameters(), network.synthesis.parameters()
    groups: list[dict[str, Any]] = [
        {"params": mapping, "lr": recipe.teach_rate / recipe.shape.rate},
        {"params": rest},
    ]
    return torch.optim.Adam(groups, recipe.teach_rate, betas=(0.9, 0.99), fused=True)


def average(state: State, recipe: Recipe, done: int) -> None:
    """Move the averaged weights: half-life `recipe.average` photos, shorter at the beginning."""
    life = min(recipe.average, 0.05 * done)
    keep = 0.5 ** (recipe.batch / max(life, 1e-8))
    with torch.no_grad():
        pairs = zip(state.averaged.parameters(), state.generator.parameters(), strict=True)
        for slow, quick in pairs:
            slow.lerp_(quick, 1 - keep)
        for old, new in zip(state.averaged.buffers(), state.generator.buffers(), strict=True):
            old.copy_(new)

"""Options of an encoder's training, its stages, and what learns in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mien.checks import check_numbers
from mien.encoders import e4e, psp
from mien.encoders.psp import Architecture
from mien.errors import BadInput, UnknownName
from mien.recognise.ir_se import TrunkShape
from mien.train.latent_critic import LatentCritic, Pool

METHODS = {"psp": psp.Encoder, "e4e": e4e.Encoder}
LEARNING = ("network", "optimiser", "critic", "critic_optimiser")
POOLS = ("own", "found")


@dataclass(frozen=True)
class Recipe:
    """Options of one encoder training; weights of e4e's terms are the published ones."""

    generator: str = "stylegan2-64"  # embedded name or model folder
    method: str = "e4e"  # or "psp": every row at once, no discriminator, no differences
    widths: tuple[int, int, int, int, int] = (32, 32, 64, 96, 160)  # stem and stages of the trunk
    units: tuple[int, int, int, int] = (2, 2, 3, 2)  # of the trunk's stages
    images: int = 104_000  # photos shown, repeats counted
    batch: int = 8
    rate: float = 1e-3  # Adam's for the encoder, falling as a cosine to a twentieth
    critic_rate: float = 2e-5  # Adam's for the discriminator of styles, constant
    first: int = 32_000  # photos until e4e learns its first difference
    every_row: int = 3_000  # photos from one difference to the next
    pixel: float = 1.0  # weight of the mean squared error
    feature: float = 0.2  # weight of the deep-feature distance
    recogniser: str = "recogniser"  # whose logits should stay; "none" for other pictures than faces
    seen: float = 0.01  # weight of the mean squared change of those logits
    seen_share: float = 0.25  # of a batch whose logits are read: they cost as much as all the rest
    arcface: str = ""  # file of ArcFace's weights (model_ir_se50.pth), for FFHQ frames
    identity: float = 0.1  # weight of 1 - the cosine of ArcFace's embeddings
    moco: str = ""  # file of MoCo's weights (moco_v2_800ep_pretrain.pth.tar), for no faces
    similar: float = 0.5  # weight of 1 - the cosine of MoCo's embeddings
    delta: float = 2e-4  # weight of the lengths of e4e's differences
    adversarial: float = 0.1  # weight of seeming the generator's own
    far: float = 0.0  # weight of the norm of w+ minus the average (pSp's w_norm)
    r1: float = 10.0  # gamma of the discriminator of styles
    r1_every: int = 16  # steps
    seed: int = 0
    every: int = 4_000  # photos between checkpoints
    watch_every: int = 20_000  # photos between grids
    tested: int = 500  # test photos the card's numbers come from

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UnknownName("method", self.method, METHODS)
        check_numbers(self, {"first": 0}, shares=("seen_share",))
        if self.seen and not self.seen_share:
            raise BadInput("seen_share=0 leaves no photo to read; set seen=0 instead")

    def stage(self, done: int, styles: int) -> int:
        """How many differences are learned after `done` photos; pSp has no stages."""
        if self.method != "e4e":
            return styles - 1
        if done < self.first:
            return 0
        return min(1 + (done - self.first) // self.every_row, styles - 1)

    def shape(self, size: int, styles: int, latent: int) -> Architecture:
        """Of an encoder for a generator of these sizes."""
        return Architecture(size, styles, latent, TrunkShape(self.widths, self.units))


@dataclass
class State:
    """What learns and what is saved."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    critic: LatentCritic
    critic_optimiser: torch.optim.Optimizer
    own: Pool  # styles of the generator
    found: Pool  # styles of the encoder

    def parts(self) -> dict[str, Any]:
        """State dicts by name."""
        return {name: getattr(self, name).state_dict() for name in (*LEARNING, *POOLS)}

    def load(self, saved: dict[str, Any]) -> None:
        """Restore what `parts` gave."""
        for name in (*LEARNING, *POOLS):
            getattr(self, name).load_state_dict(saved[name])


def start(recipe: Recipe, shape: Architecture) -> State:
    """Networks with weights of the recipe's seed, their optimisers and empty pools.

    The last layers begin at zero: every photo is the average face at first.
    """
    torch.manual_seed(recipe.seed)
    network = METHODS[recipe.method](shape)
    for block in network.styles:
        nn.init.zeros_(block.get_submodule("linear").get_parameter("weight"))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    critic = LatentCritic(shape.latent)
    return State(
        network,
        torch.optim.Adam(network.parameters(), recipe.rate, betas=(0.9, 0.99), fused=True),
        critic,
        torch.optim.Adam(critic.parameters(), recipe.critic_rate, fused=True),
        Pool(seed=recipe.seed),
        Pool(seed=recipe.seed + 1),
    )

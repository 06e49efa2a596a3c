"""Options of a StarGAN's training, its rates, and what learns in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from mien.checkpoint import find_model, load_card
from mien.checks import check_numbers
from mien.errors import BadInput, UnknownName
from mien.generators._labels import Vocabulary
from mien.generators.stargan import (
    Architecture,
    Critic,
    Discriminator,
    Generator,
)
from mien.recognise.recogniser import Recogniser, open_recogniser
from mien.runtime.precision import autocast, quickest
from mien.train import hair
from mien.train._stargan_begin import begin, open_stargan
from mien.train._stargan_guide import PLAIN, Edits, Guide, Paints, Transfer, Translations
from mien.train.adversarial import hinge_sides, wasserstein_sides

Sides = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
LOSSES: dict[str, tuple[Sides, bool]] = {  # the discriminator's terms, and whether slopes count
    "wgan-gp": (wasserstein_sides, True),
    "hinge-gp": (hinge_sides, True),  # as nigalsan1/DLIM2020's StarGAN_HL
    "hinge": (hinge_sides, False),
}
TARGETS = ("permuted", "single", "mixed")
DECAYS = ("linear", "published", "none")
PRECISIONS = ("quickest", "bf16", "fp32")
LEAST = {  # of fields that may be less than usual
    **dict.fromkeys(("share", "depth", "decay_steps", "lessons"), 0),
    **dict.fromkeys(("amounts", "gain", "accents", "prototypes"), -math.inf),
}


@dataclass(frozen=True)
class Recipe:
    """Options of one StarGAN training; defaults are those of the published implementation."""

    attributes: tuple[str, ...] = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young")
    joint: tuple[str, ...] = ()  # A+B,C+D: shares of the photos of which only these are known
    share: int = 0  # which of them, from 1, is learned from alone; 0: all
    folders: tuple[str, ...] = ()  # further data sets: square faces in one folder a class
    begin: str = ""  # the translator of the same names and shape whose weights learn further; it
    # may be narrower, of another coarseness, and for label maps one of lookup tables
    size: int = 128  # px
    width: int = 64  # of the generator
    depth: int = 6  # its residual blocks
    critic_width: int = 64
    critic_depth: int = 6  # levels of the discriminator
    condition: str = "maps"  # or "lookup": a gain and bias a label in every normalisation
    loud: float = 1.0  # by which the maps' first weights are multiplied before they learn
    reading: str = "sum"  # of lookup tables by several labels; "mean"; "first" as DLIM2020
    residual: bool = False  # what the generator draws is added to the photo
    blur: float = 0.0  # px, the deviation of a Gaussian by which that is blurred first
    coarse: int = 1  # times smaller than photos are what it sees and what it adds
    loss: str = "wgan-gp"  # or "hinge-gp", "hinge"
    targets: str = "permuted"  # the batch's own labels; "single": one name changed; "mixed": halves
    batch: int = 16  # faces of each data set
    steps: int = 200_000  # of the discriminator
    n_critic: int = 5  # of which every fifth is one of the generator too
    rate: float = 1e-4  # Adam's for the generator
    critic_rate: float = 1e-4
    betas: tuple[float, float] = (0.5, 0.999)
    decay_steps: int = 100_000  # last steps, in which rates fall to nothing
    decay: str = "linear"  # "published": by 1 / decay_steps every `decay_every` steps, so hardly
    decay_every: int = 1_000  # steps
    cls: float = 1.0  # weight of the labels' cross-entropy
    teacher: float = 0.0  # weight of the recogniser's own cross-entropy, if any
    taught_by: tuple[str, ...] = ("recogniser",)  # whose; of several the mean
    emphasis: tuple[float, ...] = ()  # how much each name counts in it, but for classes; () = alike
    jitter: float = 0.0  # by which its view is shifted, zoomed and turned at most; 0.06 = 6 %
    guide: float = 0.0  # weight of nearness to what `guided_by` would add
    lessons: int = 0  # first steps, in which the generator learns from the guide alone
    guided_by: str = "vae-128"  # a space with directions of the labels, or a translator of them
    hair: bool = False  # examples of hair colours are recoloured photos instead (128 px only)
    amounts: tuple[float, ...] = ()  # of its edits, one a name, in calibrated units; () = 1 each
    prototypes: tuple[float, ...] = ()  # how far examples also change faces as photos of a name
    # differ on average, one a name; needs hair=true, as does:
    grey: float = 0.0  # share of their hair that greys in examples of who is no longer Young
    hues: float = 1.0  # share of the colour of these edits that is taught; their light is whole
    ratio: float = 0.0  # above 0 they multiply photos, by (after + ratio) / (before + ratio)
    tint: float = 0.0  # how many times more than light the examples' hues count
    smooth: float = 0.0  # weight of the total variation of what is added to the photo
    rec: float = 10.0  # weight of the way back
    penalty: float = 10.0  # weight of slopes other than 1
    average: float = 0.999  # of the exported weights, a step of the generator; 0: the last ones
    gain: float = 1.0  # by which the exported model's additions are multiplied, if it is residual
    accents: tuple[float, ...] = ()  # by which its tables' rows are multiplied, one a name; () = 1
    precision: str = "quickest"  # of convolutions: "bf16" where the CPU has units for it, or "fp32"
    seed: int = 0
    log_every: int = 10  # steps
    watch_every: int = 1_000  # steps between grids
    every: int = 1_000  # steps between checkpoints
    tested: int = 500  # test photos the card's numbers come from

    def __post_init__(self) -> None:
        for what, value, known in (
            ("loss", self.loss, LOSSES),
            ("targets", self.targets, TARGETS),
            ("decay", self.decay, DECAYS),
            ("precision", self.precision, PRECISIONS),
        ):
            if value not in known:
                raise UnknownName(what, value, known)
        check_numbers(self, LEAST, shares=("betas", "average", "grey"))
        if len(self.betas) != 2 or 1 in self.betas:
            raise BadInput("betas are two numbers below 1; give it as betas=0.5,0.999")
        if self.lessons and not self.guide > 0:
            raise BadInput(f"lessons={self.lessons} need a guide; give guide a weight")
        if self.hair and (not self.guide > 0 or self.size != hair.SIZE):
            raise BadInput(f"hair=true needs a guide and photos of {hair.SIZE} px; set both")
        if (self.prototypes or self.grey) and not self.hair:
            raise BadInput("prototypes and grey are painted where masks are; set hair=true")
        if (self.hues != 1 or self.tint or self.ratio) and not self.guide > 0:
            raise BadInput("hues, ratio and tint are of the guide's examples; give guide a weight")
        if self.emphasis and not self.teacher > 0:
            raise BadInput("emphasis is the teacher's; give teacher a weight")
        if self.taught_by != ("recogniser",) and not self.teacher > 0:
            raise BadInput("taught_by names teachers; give teacher a weight")
        if not self.taught_by:
            raise BadInput("taught_by names nobody; leave it out for the embedded recogniser")
        if self.loud != 1 and self.condition != "maps":
            raise BadInput(f"loud={self.loud} multiplies weights of label maps; set condition=maps")
        if self.gain != 1 and not self.residual:
            raise BadInput(f"gain={self.gain} multiplies additions; set residual=true")
        if self.accents and self.condition != "lookup":
            raise BadInput("accents multiply rows of lookup tables; set condition=lookup")
        if not 0 <= self.share <= len(self.joint):
            raise BadInput(f"share={self.share} of {len(self.joint)} joint shares; count from 1")
        self.shape(1), self.critic(1)  # sizes that cannot be are refused before any photo is read

    def shape(self, labels: int) -> Architecture:
        """Of the generator, for vectors of this length."""
        how = (self.condition, self.reading, self.residual, self.blur, self.coarse)
        return Architecture(self.size, self.width, self.depth, labels, *how)

    def critic(self, labels: int) -> Critic:
        """Of the discriminator, for this many names."""
        return Critic(self.size, self.critic_width, self.critic_depth, labels)

    def autocast(self, device: str) -> torch.autocast:
        """The precision of convolutions on a device of this type."""
        if self.precision == "quickest":
            return quickest(device)
        return autocast(self.precision == "bf16", device)

    def pace(self, step: int) -> float:
        """What rates are multiplied by at a step."""
        start = max(0, self.steps - self.decay_steps)
        if self.decay == "none" or step < start:
            return 1.0
        if self.decay == "published":
            fallen = step // self.decay_every - start // self.decay_every
            return 1 - fallen / self.decay_steps
        return 1 - (step - start) / max(1, self.steps - start)


@dataclass
class State:
    """What learns and what is saved."""

    generator: Generator
    averaged: Any  # torch's AveragedModel
    critic: Discriminator
    optimiser: torch.optim.Optimizer
    critic_optimiser: torch.optim.Optimizer
    vocabulary: Vocabulary
    teachers: tuple[Recogniser, ...] = ()
    guide: Guide | None = None

    def parts(self) -> dict[str, Any]:
        """State dicts by name."""
        return {name: getattr(self, name).state_dict() for name in LEARNING}

    def load(self, saved: dict[str, Any]) -> None:
        """Restore what `parts` gave."""
        for name in LEARNING:
            getattr(self, name).load_state_dict(saved[name])

    def pace(self, recipe: Recipe, step: int) -> None:
        """Set the rates of a step."""
        factor = recipe.pace(step)
        for optimiser, rate in (
            (self.optimiser, recipe.rate),
            (self.critic_optimiser, recipe.critic_rate),
        ):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor


LEARNING = ("generator", "averaged", "critic", "optimiser", "critic_optimiser")


def start(recipe: Recipe, vocabulary: Vocabulary, device: str = "cpu") -> State:
    """Networks with weights of the recipe's seed, the average and the optimisers.

    Weights are drawn on the CPU, so that they are the same on any device.
    """
    torch.manual_seed(recipe.seed)
    generator = Generator(recipe.shape(vocabulary.width))
    with torch.no_grad():
        first: Any = generator.main[0]
        first.weight[:, 3:] *= recipe.loud  # none with tables
    critic = Discriminator(recipe.critic(len(vocabulary.names)))
    for network in (generator, critic):
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = torch.optim.swa_utils.AveragedModel(
        generator, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.average),
        use_buffers=True,
    )  # fmt: skip
    first, second = (
        torch.optim.Adam(network.parameters(), rate, betas=recipe.betas, fused=True)
        for network, rate in ((generator, recipe.rate), (critic, recipe.critic_rate))
    )
    return State(generator, averaged, critic, first, second, vocabulary)


def equip(state: State, recipe: Recipe, paints: Paints = PLAIN) -> None:
    """Open what the recipe names: the model to begin with, the teachers, the guide.

    paints: what the guide paints in photos.

    Raises UnknownName for a name that one of them does not know, and BadInput for a
    model of another shape or other names.
    """
    if recipe.begin:
        begin(state.generator, state.vocabulary, recipe.begin)
        state.averaged.module.load_state_dict(state.generator.state_dict())
    if recipe.teacher > 0:
        state.teachers = open_teachers(recipe.taught_by, state.vocabulary.names)
        for teacher in state.teachers:
            teacher.network.to(next(state.generator.parameters()).device)
    if recipe.guide > 0:
        state.guide = _guide(state.vocabulary, recipe, paints)


def _guide(vocabulary: Vocabulary, recipe: Recipe, paints: Paints) -> Guide:
    """Who shows what is to be added: a space, or a translator of the same names."""
    name = recipe.guided_by
    if load_card(find_model(name))["kind"] != "translator":
        transfer = Transfer(recipe.hues, recipe.ratio)
        return Edits(name, vocabulary.names, recipe.amounts, paints, transfer, recipe.autocast)
    if recipe.hair or recipe.amounts or recipe.hues != 1 or recipe.ratio:
        raise BadInput(f"guided_by={name} is a translator; leave out hair, amounts, hues and ratio")
    return Translations(open_stargan(name, "guided_by"), vocabulary, recipe.autocast)


def open_teachers(models: Iterable[str], names: Collection[str]) -> tuple[Recogniser, ...]:
    """The recognisers; UnknownName unless each knows every name."""
    teachers = {model: open_recogniser(model) for model in models}
    for model, teacher in teachers.items():
        for name in names:
            if name not in teacher.names:
                raise UnknownName(f"attribute of the teacher {model}", name, teacher.names)
    return tuple(teachers.values())

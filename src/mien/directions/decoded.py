"""Directions learned by looking at what they do: decode moved latents, ask the recogniser.

A difference of means describes how faces with an attribute differ from faces
without; it need not be the cheapest way to give one face the attribute. Here
the movement d of every attribute is learned so that decoded faces show it while
all else stays, with gradients through decoder and recogniser (Goetschalckx et
al., "GANalyze", ICCV 2019; Jahanian et al., "On the steerability of generative
adversarial networks", ICLR 2020). With s = 1 for a face lacking the attribute
m, s = -1 for one having it, and l the recogniser's logits, the cost

    others * mean_{j != m} huber(l_j(G(z + s d)) - l_j(G(z)))
    + pixels * |G(z + s d) - G(z)|^2 at half size, dearest in the inner face
    + spread * d^T C^-1 d

is least subject to s l_m(G(z + s d)) > 0 for a share `wanted` of the faces:
softplus(margin - s l_m) is added with a weight that grows while the share is
too small. C is the covariance of the latents; d has one length for adding and
one for removing. One movement serves all faces, so there is no room for the
tricks by which one picture is made to fool one network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from mien.checks import check_numbers
from mien.directions import mean_difference
from mien.directions._assemble import assemble, plain_options
from mien.directions._contrast import contrasts
from mien.directions._distribution import fit_distribution
from mien.directions._inner import inner_change
from mien.directions._linear import unit_columns
from mien.directions.contract import Labelled
from mien.errors import BadInput, UnknownName
from mien.recognise.recogniser import open_recogniser
from mien.types import Directions

if TYPE_CHECKING:
    from mien.recognise.recogniser import Recogniser

WARM = 20  # steps until the rate reaches its value
DUAL = 0.1  # how fast the weight of a change follows the share that is missing
HEAVIEST = 10.0  # weight of a change at most, for attributes that no movement gives
OUTER = 0.1  # cost of changes far from eyes and mouth, relative to those between them
REACH = 1 / 16  # of half the picture, by which the recogniser's view is shifted at most
ZOOM = 0.08  # share by which the view grows or shrinks at most
TURN = 0.09  # radians, 5 degrees, by which the view turns at most
HUBER = 2.0  # logits beyond which a changed attribute costs linearly


@dataclass(frozen=True)
class Options:
    """Options of the learned movements."""

    recogniser: str = "recogniser"  # embedded name or model folder; never the judge of the edits
    steps: int = 1200
    batch: int = 32  # movements tried a step
    rate: float = 0.06  # of Adam, in standard deviations of the latents
    wanted: float = 0.93  # share of moved faces that the recogniser should agree with
    margin: float = 2.0  # logit up to which a moved face is pushed; 2 is a probability of 0.88
    others: float = 1.0  # weight of the other attributes' change
    pixels: float = 30.0  # weight of the mean squared change of the picture, faces in [-1, 1]
    spread: float = 0.02  # weight of the squared Mahalanobis length
    start: float = 3.0  # Mahalanobis length of the mean difference that learning starts from
    fewest: int = 10  # faces needed on either side of an attribute
    skip_rare: bool = False  # leave attributes with fewer out instead of refusing
    seed: int = 0  # of faces, attributes and their order

    def __post_init__(self) -> None:
        least = {"margin": -math.inf}  # below 0 a moved face may stay a little short
        check_numbers(self, least, shares=("wanted",), positive=("rate", "start"))


DEFAULTS = Options()


def find(data: Labelled, options: Options = DEFAULTS) -> Directions:
    """Learned directions; `unit` and `unit_down` are the lengths of the movements learned.

    data.source: the space of the latents, which must decode differentiably
    (`render`). `bias` puts the boundary midway between the means of the faces
    with and without the attribute. Runs at the precision of the caller's
    autocast. Raises BadInput without such a space or for an attribute with too few
    faces, UnknownName for one the recogniser does not know.
    """
    if not hasattr(data.source, "render"):
        raise BadInput("these directions are learned on decoded faces; give the latents' space")
    weighing = mean_difference.Options(fewest=options.fewest, skip_rare=options.skip_rare)
    start = mean_difference.find(data, weighing)
    kept = data.select(start.names)
    moves, lengths = _Lesson(kept, start, options).learn()
    vectors = unit_columns(moves, start.names)
    bias = mean_difference.midway(kept.latent.flat, contrasts(kept.attributes), vectors)
    provenance = {"method": "decoded", "options": plain_options(options)}
    found = assemble(kept, vectors, bias, provenance)
    down, up = (lengths * np.linalg.norm(moves, axis=0)).astype(np.float32)
    return replace(found, unit=up, unit_down=down)


class _Lesson:
    """One training of movements, a row of whitened coordinates an attribute."""

    def __init__(self, data: Labelled, start: Directions, options: Options) -> None:
        self.data, self.options = data, options
        self.recogniser = open_recogniser(options.recogniser)
        self.columns = _columns(self.recogniser, start.names)
        known = fit_distribution(data.latent)
        self.root = torch.from_numpy(known.axes * known.scales).float()  # [D, K]
        white = start.vectors.T @ (known.axes / known.scales)  # [M, K]
        white *= options.start / np.linalg.norm(white, axis=1, keepdims=True)
        self.moves = torch.from_numpy(white.astype(np.float32)).requires_grad_()
        self.sides = torch.zeros(2, len(white), requires_grad=True)  # log length: removing, adding
        self.weights = np.ones((2, len(white)))  # of the changes, as `sides`
        self.random = np.random.default_rng(options.seed)
        self.queue: list[int] = []

    def learn(self) -> tuple[np.ndarray, np.ndarray]:
        """(movements float64 [D, M], factors [2, M] of their lengths when removing and adding)."""
        optimiser = torch.optim.Adam([self.moves, self.sides], self.options.rate)
        for step in range(self.options.steps):
            for group in optimiser.param_groups:
                group["lr"] = self.options.rate * _pace(step, self.options.steps)
            loss = self._loss()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            self.data.tell(step + 1, self.options.steps, f"loss {loss.item():.3f}")
        with torch.no_grad():
            return (self.root @ self.moves.T).double().numpy(), self.sides.exp().numpy()

    def _loss(self) -> torch.Tensor:
        """Mean of the module's formula over one batch of movements."""
        which, signs, rows = self._draw()
        sides = (signs > 0).astype(int)
        latents = torch.from_numpy(self.data.latent.values[rows])
        chosen = self.moves[which] * self.sides[sides, which].exp()[:, None]  # [B, K]
        sign = torch.from_numpy(signs)
        moved = latents + (sign[:, None] * chosen @ self.root.T).view(latents.shape)
        with torch.no_grad():
            plain, before = self._see(latents)
        faces, after = self._see(moved)
        place = torch.arange(len(which)), torch.from_numpy(self.columns[which])
        weights = torch.from_numpy(self._weigh(sides, which, (sign * after[place] > 0).numpy()))
        changed = weights * F.softplus(self.options.margin - sign * after[place])
        drift = F.huber_loss(after, before, reduction="none", delta=HUBER)
        drift = (drift.sum(1) - drift[place]) / max(after.shape[1] - 1, 1)
        picture = inner_change(faces, plain, OUTER)
        far = chosen.square().sum(1)
        kept = self.options.others * drift + self.options.pixels * picture
        return (changed + kept + self.options.spread * far).mean()

    def _weigh(self, sides: np.ndarray, which: np.ndarray, agreed: np.ndarray) -> np.ndarray:
        """Weights float32 [B] of the changes, after a step of dual ascent on what was agreed."""
        step = np.exp(DUAL * (self.options.wanted - agreed))
        np.multiply.at(self.weights, (sides, which), step)
        np.clip(self.weights, 1 / HEAVIEST, HEAVIEST, out=self.weights)
        return np.asarray(self.weights[sides, which], np.float32)

    def _see(self, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(faces, their logits), which are those of the step's view."""
        faces = self.data.source.render(latents).float()
        seen = [len(faces), 3, self.recogniser.size, self.recogniser.size]
        grid = F.affine_grid(self.view.expand(len(faces), 2, 3), seen, False)
        shown = F.grid_sample(faces, grid, padding_mode="border", align_corners=False)
        return faces, self.recogniser.score(shown)

    def _draw(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(attributes, signs float32, rows of faces that lack or have them), one a movement."""
        self.view = _random_view(self.random)
        table = self.data.attributes.table
        while len(self.queue) < self.options.batch:  # every attribute in turn
            self.queue.extend(self.random.permutation(table.shape[1]).tolist())
        which = np.array(self.queue[: self.options.batch])
        del self.queue[: self.options.batch]
        signs = self.random.choice(np.array([-1, 1]), len(which))
        sides = zip(which, signs, strict=True)
        rows = [self.random.choice(np.flatnonzero(table[:, m] == -s)) for m, s in sides]
        return which, signs.astype(np.float32), np.array(rows)


def _random_view(random: np.random.Generator) -> torch.Tensor:
    """Where a picture is looked at, [1, 2, 3] of `affine_grid`.

    Mirrored or not, a little shifted, turned and zoomed: what fools a network
    at one place does not at the next.
    """
    right, down, zoom, turn = random.uniform(-1, 1, 4) * (REACH, REACH, ZOOM, TURN)
    mirror = random.choice((-1, 1))
    cosine, sine = (1 + zoom) * np.cos(turn), (1 + zoom) * np.sin(turn)
    rows = [[mirror * cosine, -sine, right], [mirror * sine, cosine, down]]
    return torch.tensor([rows], dtype=torch.float32)


def _pace(step: int, steps: int) -> float:
    """The share of the rate: a warm start, then down to 0 as the square root."""
    return float(min(1.0, (step + 1) / WARM) * (1 - step / steps) ** 0.5)


def _columns(recogniser: Recogniser, names: tuple[str, ...]) -> np.ndarray:
    for name in names:
        if name not in recogniser.names:
            raise UnknownName("attribute of the recogniser", name, recogniser.names)
    return np.array([recogniser.names.index(name) for name in names])

"""What to ask for, learned: adjustments and preferences as functions of the face and the wish.

The distance of Zaeemzadeh et al. (ICCV 2021) takes any adjustment, and any preference of 0 or
more, for every query of its own. One preference vector for all queries leaves that unused: how
much an attribute should matter, and which coordinate to look for, depends on the query's own
coordinates s (glasses that are there tell more than glasses that are not; an extreme
coordinate is met by less extreme ones). With a the wish (1 = have it, -1 = lack it, 0 = as it
is), both are linear, the one before an exponential:

    target = A [s, a, a s, |a|, 1],    log preference = b + c |a| + B s.

The basis, the distance and its shares stay what they are. Learned by the listwise cross-entropy
(Cao et al., "Learning to rank: from pairwise approach to listwise approach", ICML 2007) between
softmax(labels that agree / sharpness) and softmax(-distance) over a pool of faces.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mien.checks import check_numbers, check_shape
from mien.errors import BadInput
from mien.train.run import generator
from mien.train.tirg import flips

Progress = Callable[[int, int, str], None]
FIRST = -2.0  # logarithm of every weight before it learns
LIMITS = (-12.0, 8.0)  # of logarithms of weights
NEVER = -1e9  # the logit of the query itself


@dataclass(frozen=True)
class Options:
    """Training."""

    steps: int = 2000
    batch: int = 128  # queries
    pool: int = 4000  # faces that they are ranked among, drawn every step
    most: int = 3  # attributes that a query adjusts at once, 1 to this many
    rate: float = 1e-2  # of Adam, falling to 0 along half a cosine
    sharpness: float = 0.5  # in labels: smaller looks at the very best answers only
    seed: int = 0

    def __post_init__(self) -> None:
        check_numbers(self, positive=("sharpness",))  # what is divided by


class Policy(nn.Module):
    """Coordinates [N, M] and wishes [N, M] of 1, -1 and 0 to targets and weights [N, M].

    Inside, coordinates have mean 0 and variance 1 over the faces it learned from.
    """

    middle: torch.Tensor  # [M]
    spread: torch.Tensor  # [M]
    size: torch.Tensor  # the mean square of the rest of a face, |r|^2

    def __init__(self, names: int) -> None:
        super().__init__()
        self.register_buffer("middle", torch.zeros(names))
        self.register_buffer("spread", torch.ones(names))
        self.register_buffer("size", torch.ones(()))
        own = torch.cat([torch.eye(names), torch.zeros(3 * names + 1, names)])
        self.targets = nn.Parameter(own)  # of no wish: where the face is
        self.base = nn.Parameter(torch.full((names,), FIRST))
        self.stress = nn.Parameter(torch.zeros(names))
        self.turns = nn.Parameter(torch.zeros(names, names))
        self.rest = nn.Parameter(torch.tensor(FIRST))

    def forward(self, own: torch.Tensor, wish: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(targets, weights), fp32 [N, M] each, of coordinates of mean 0 and variance 1."""
        given = [own, wish, wish * own, wish.abs(), torch.ones_like(own[:, :1])]
        powers = self.base + self.stress * wish.abs() + own @ self.turns
        found: torch.Tensor = torch.cat(given, 1) @ self.targets
        return found, powers.clamp(*LIMITS).exp()

    def logits(
        self, own: torch.Tensor, wish: torch.Tensor, pool: torch.Tensor, product: torch.Tensor
    ) -> torch.Tensor:
        """-distance up to a constant a query, [N, P]; pool: coordinates [P, M].

        product: 2 r_q'r - |r|^2 [N, P], divided by `size`.
        """
        target, weight = self(own, wish)
        along = 2 * (weight * target) @ pool.T - weight @ pool.square().T
        found: torch.Tensor = along + self.rest.exp() * product
        return found

    def standard(self, scores: torch.Tensor) -> torch.Tensor:
        """Coordinates with mean 0 and variance 1."""
        found: torch.Tensor = (scores - self.middle) / self.spread
        return found

    @torch.inference_mode()
    def ask(self, scores: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(moves, weights), float64 [Q, M] each, as `search.distance.rank` takes them.

        scores: coordinates [Q, M] of the queries; wanted: presences [Q, M], NaN = left alone.
        """
        check_shape(wanted, scores.shape, "wanted presences")
        found = torch.from_numpy(np.asarray(scores, np.float32))
        wish = torch.from_numpy(np.nan_to_num(2 * wanted - 1).astype(np.float32))
        target, weight = self(self.standard(found), wish)
        moves = (target * self.spread + self.middle - found).double().numpy()
        one = self.rest.exp() / self.size  # the distance counts the rest of the face once
        return moves, (weight / self.spread.square() / one).double().numpy()


def fit(
    latents: np.ndarray, labels: np.ndarray, vectors: np.ndarray, options: Options,
    progress: Progress,
) -> Policy:  # fmt: skip
    """Learn from latents [N, D] with labels int8 [N, M] of 1, -1, 0 (unknown), and a basis [D, M].

    A query is a random face of which 1 to `most` random known labels are flipped; the best
    answers are the faces of a random pool whose labels agree best with the wished ones.
    Raises BadInput for fewer than three faces and for labels of other names than the basis has.
    """
    check_shape(labels, (len(latents), vectors.shape[1]), "labels")
    if len(latents) < 3:
        raise BadInput(f"{len(latents)} faces teach no ranking; give more")
    scores = latents @ vectors
    rest = torch.from_numpy(latents - scores @ vectors.T).float()
    rest -= rest.mean(0)
    policy = Policy(vectors.shape[1])
    policy.middle.copy_(torch.from_numpy(scores.mean(0)))
    policy.spread.copy_(torch.from_numpy(np.maximum(scores.std(0), 1e-12)))
    policy.size.copy_(rest.square().sum(1).mean().clamp(min=1e-12))
    own = policy.standard(torch.from_numpy(scores).float())
    known = torch.from_numpy(labels).float()
    adam = torch.optim.Adam(policy.parameters(), options.rate)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(adam, options.steps)
    for step in range(options.steps):
        loss = _loss(policy, (own, rest, known), options, step)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        rates.step()
        progress(step + 1, options.steps, f"learn what to ask for {loss.item():.3f}")
    return policy.eval()


def _loss(
    policy: Policy, faces: tuple[torch.Tensor, torch.Tensor, torch.Tensor], options: Options,
    step: int,
) -> torch.Tensor:  # fmt: skip
    """The cross-entropy of one step's queries over its pool, a scalar; random by (seed, step)."""
    own, rest, known = faces
    random = generator(options.seed, step)
    rows = torch.randint(len(own), (options.batch,), generator=random)
    pool = torch.randperm(len(own), generator=random)[: options.pool]
    wish = flips(known[rows], options.most, random)
    labels = torch.where(wish != 0, wish, known[rows])
    agreeing = labels @ known[pool].T / 2  # and a constant
    itself = rows[:, None] == pool
    others = rest[pool]
    product = (2 * rest[rows] @ others.T - others.square().sum(1)) / policy.size
    given = policy.logits(own[rows], wish, own[pool], product).masked_fill(itself, NEVER)
    right = (agreeing / options.sharpness).masked_fill(itself, NEVER).softmax(1)
    return torch.nn.functional.cross_entropy(given, right)

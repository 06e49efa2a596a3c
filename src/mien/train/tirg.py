"""Compositional query: a face and an adjustment become one point among embedded faces.

TIRG of Vo et al., "Composing Text and Image for Image Retrieval - An Empirical
Odyssey" (CVPR 2019), section 3: the composed feature is a gated part of the image's
feature plus a residual, phi = w_g sigmoid(gate(x, t)) * x + w_r residual(x, t),
learned by the softmax over a batch of which of its targets is a query's own (their
equation 5 with K = B). There the image's features come from a convolutional network and
the words from an LSTM; here the image is a latent, x a linear map of it, and t a linear
map of the adjustment vector, 1 = have it, -1 = lack it, 0 = as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mien.checks import check_numbers, check_shape
from mien.errors import BadInput
from mien.train.run import generator

Progress = Callable[[int, int, str], None]
Triple = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Options:
    """Network and training."""

    width: int = 256  # of features
    steps: int = 3000
    batch: int = 128  # each query's target competes with the others' of its batch
    rate: float = 1e-3  # of Adam, falling to 0 along half a cosine
    decay: float = 1e-2  # of weights, per step times the rate
    most: int = 3  # attributes that a query adjusts at once, 1 to this many
    pool: int = 4000  # faces among which a query's target is looked for, drawn every step
    seed: int = 0

    def __post_init__(self) -> None:
        check_numbers(self, {"batch": 2})  # as batch normalisation needs


class Composer(nn.Module):
    """Latents [N, D] and adjustments [N, M] to unit features [N, E]."""

    mean: torch.Tensor  # [D], taken off the latents
    spread: torch.Tensor  # one number, the latents' mean standard deviation

    def __init__(self, latent: int, attributes: int, width: int = 256) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(latent))
        self.register_buffer("spread", torch.ones(()))
        self.image = nn.Linear(latent, width)
        self.words = nn.Linear(attributes, width)
        self.gate = nn.Sequential(
            nn.BatchNorm1d(2 * width), nn.ReLU(), nn.Linear(2 * width, width), nn.Sigmoid()
        )
        self.residual = nn.Sequential(
            nn.BatchNorm1d(2 * width), nn.ReLU(), nn.Linear(2 * width, 2 * width),
            nn.ReLU(), nn.Linear(2 * width, width),
        )  # fmt: skip
        self.shares = nn.Parameter(torch.tensor([1.0, 10.0]))  # w_g, w_r as published code has them
        self.scale = nn.Parameter(torch.tensor(math.log(4.0)))  # logarithm of the cosines' factor

    def embed(self, latents: torch.Tensor) -> torch.Tensor:
        """Features [N, E] of gallery faces, unit length."""
        return F.normalize(self._features(latents), dim=1)

    def forward(self, latents: torch.Tensor, adjustments: torch.Tensor) -> torch.Tensor:
        """Features [N, E] of the faces looked for, unit length."""
        image = self._features(latents)
        both = torch.cat([image, self.words(adjustments)], 1)
        composed = self.shares[0] * self.gate(both) * image + self.shares[1] * self.residual(both)
        return F.normalize(composed, dim=1)

    def _features(self, latents: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.image((latents - self.mean) / self.spread)
        return features

    def loss(self, triple: Triple) -> torch.Tensor:
        """Batch-softmax loss of (query latents, adjustments, target latents), a scalar."""
        latents, adjustments, targets = triple
        cosines = self(latents, adjustments) @ self.embed(targets).T
        return F.cross_entropy(self.scale.exp() * cosines, torch.arange(len(cosines)))


def fit(latents: np.ndarray, labels: np.ndarray, options: Options, progress: Progress) -> Composer:
    """Learn from latents [N, D] and their labels int8 [N, M] of 1, -1 and 0 (unknown).

    A query is a random face of which 1 to `most` random known attributes are flipped; its
    target is, of a random pool, a face whose labels agree best with the wished ones.
    """
    check_shape(labels, (len(latents), None), "labels")
    if len(latents) < 2:
        raise BadInput(f"{len(latents)} faces make no triples; give more")
    with torch.random.fork_rng():
        torch.manual_seed(options.seed)
        composer = Composer(latents.shape[1], labels.shape[1], options.width)
    composer.mean.copy_(torch.from_numpy(latents.mean(axis=0)))
    composer.spread.fill_(max(float(latents.std(axis=0).mean()), 1e-12))
    return optimise(composer, triples(latents, labels, options), options, progress)


def optimise(
    composer: Composer, batches: Iterator[Triple], options: Options, progress: Progress
) -> Composer:
    """Take options.steps batches of triples through Adam; returns the composer, evaluating."""
    adam = torch.optim.AdamW(composer.parameters(), options.rate, weight_decay=options.decay)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(adam, options.steps)
    composer.train()
    for step, batch in zip(range(options.steps), batches, strict=False):
        adam.zero_grad(set_to_none=True)
        loss = composer.loss(batch)
        loss.backward()
        adam.step()
        rates.step()
        progress(step + 1, options.steps, f"compose queries {loss.item():.3f}")
    return composer.eval()


def triples(latents: np.ndarray, labels: np.ndarray, options: Options) -> Iterator[Triple]:
    """Batches of (query latents [B, D], adjustments [B, M], target latents [B, D]), endless."""
    values, known = torch.from_numpy(latents).float(), torch.from_numpy(labels).float()
    for step in range(2**31):
        random = generator(options.seed, step)
        rows = torch.randint(len(values), (options.batch,), generator=random)
        pool = torch.randperm(len(values), generator=random)[: options.pool]
        asked = flips(known[rows], options.most, random)
        wished = torch.where(asked != 0, asked, known[rows])
        agreement = wished @ known[pool].T
        # labels agree by whole numbers: less than 1 of noise draws among the best
        agreement += torch.rand(agreement.shape, generator=random)
        agreement[rows[:, None] == pool] = -torch.inf
        yield values[rows], asked, values[pool[agreement.argmax(1)]]


def flips(labels: torch.Tensor, most: int, random: torch.Generator) -> torch.Tensor:
    """[N, M]: of each row 1 to `most` random known labels, turned; 0 for all others."""
    order = torch.rand(labels.shape, generator=random) * (labels != 0)
    counts = torch.randint(1, most + 1, (len(labels), 1), generator=random)
    place = order.argsort(1, descending=True).argsort(1)
    return torch.where(place < counts, -labels, 0.0)


def order(
    composer: Composer, gallery: np.ndarray, queries: np.ndarray, adjustments: np.ndarray
) -> np.ndarray:
    """int64 [Q, N]: rows of gallery latents [N, D], the most alike first.

    queries: latents [Q, D]; adjustments: float [Q, M] of 1, -1 and 0.
    """
    with torch.inference_mode():
        faces = composer.embed(torch.from_numpy(gallery).float())
        asked = composer(torch.from_numpy(queries).float(), torch.from_numpy(adjustments).float())
        ranked: np.ndarray = (asked @ faces.T).argsort(dim=1, descending=True, stable=True).numpy()
    return ranked

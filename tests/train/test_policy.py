"""Learned wishes: what noise says is not asked for, what is planted is; closed forms."""

import numpy as np
import pytest
import torch

from mien.errors import BadInput
from mien.measure.ndcg import ndcg
from mien.search.distance import rank
from mien.train import policy


def quiet(*_):
    """Tell nobody."""


def faces(count, seed):
    """Three attributes whose coordinates are certain, half certain, and noise; and a rest."""
    random = np.random.default_rng(seed)
    labels = random.choice([-1, 1], (count, 3)).astype(np.int8)
    certain = np.array([3.0, 1.0, 0.0])
    values = random.normal(size=(count, 6)) * [0.3, 1, 5, 2, 2, 2]
    values[:, :3] += labels * certain
    return values.astype(np.float32), labels


VECTORS = np.eye(6, 3, dtype=np.float32)
SOME = policy.Options(steps=150, batch=32, pool=200, most=2, rate=0.05)


def quality(learned, values, labels, wanted):
    """nDCG@10 of the policy's ranking and of plain distance, over all as queries."""
    rows = np.arange(len(values))
    scores = values @ VECTORS
    target = np.where(np.isnan(wanted), labels, 2 * wanted - 1)
    relevance = (target[:, None] == labels).sum(2).astype(float)
    relevance[rows, rows] = 0
    move = np.where(np.isnan(wanted), 0, (2 * wanted - 1) * [3.0, 1, 0] - scores)
    found = []
    for asked in (learned.ask(scores, wanted), (move, np.ones(scores.shape))):
        order = rank(values, values, VECTORS, *asked).order
        others = order[order != rows[:, None]].reshape(len(order), -1)
        found.append(ndcg(others, relevance, 10).mean())
    return found


def test_a_policy_asks_for_what_labels_tell():
    learned = policy.fit(*faces(600, 0), VECTORS, SOME, quiet)
    values, labels = faces(200, 1)
    wanted = np.full((200, 3), np.nan)
    wanted[:, 0] = labels[:, 0] < 0
    ours, plain = quality(learned, values, labels, wanted)
    assert ours > plain + 0.03
    move, weights = learned.ask(values @ VECTORS, wanted)
    target = (values @ VECTORS + move)[:, 0]
    assert ((target > 0) == (wanted[:, 0] > 0)).all()  # the wish is asked for
    scaled = (weights * (values @ VECTORS).var(0)).mean(0)
    assert scaled[0] > 1.3 * scaled[1] > 4 * scaled[2]  # what is certain matters


def test_unlearned_it_asks_for_the_face_as_it_is():
    fresh = policy.Policy(3)
    fresh.middle.copy_(torch.tensor([1.0, 2.0, 3.0]))
    fresh.spread.copy_(torch.tensor([1.0, 2.0, 4.0]))
    fresh.size.fill_(9.0)
    scores, nothing = np.random.default_rng(2).normal(size=(5, 3)), np.full((5, 3), np.nan)
    move, weights = fresh.ask(scores, nothing)
    np.testing.assert_allclose(move, 0, atol=1e-6)
    np.testing.assert_allclose(weights, np.tile([9, 9 / 4, 9 / 16], (5, 1)), rtol=1e-5)


def test_logits_are_the_distance_of_find():
    """What is learned is the very distance that ranks, but for a scale and a constant a query."""
    values, labels = faces(80, 3)
    learned = policy.fit(values, labels, VECTORS, SOME, quiet)
    wanted = np.full((80, 3), np.nan)
    wanted[::2, 1] = 1.0
    scores = values @ VECTORS
    rest = torch.from_numpy(values - scores @ VECTORS.T)
    wish = torch.from_numpy(np.nan_to_num(2 * wanted - 1)).float()
    own = learned.standard(torch.from_numpy(scores))
    product = (2 * rest @ rest.T - rest.square().sum(1)) / learned.size
    with torch.no_grad():
        logits = learned.logits(own, wish, own, product).double().numpy()
    move, weights = learned.ask(scores, wanted)
    apart = scores[:, None] + move[:, None] - scores
    distance = (weights[:, None] * apart**2).sum(2)
    distance += ((rest[:, None] - rest) ** 2).sum(2).numpy()
    scaled = distance * float(learned.rest.detach().exp() / learned.size)
    total = logits + scaled
    np.testing.assert_allclose(total - total[:, :1], 0, atol=2e-3 * np.abs(scaled).max())


def test_a_seed_repeats():
    first, second = (policy.fit(*faces(60, 4), VECTORS, SOME, quiet) for _ in range(2))
    assert torch.equal(first.targets, second.targets)
    assert torch.equal(first.turns, second.turns)


def test_what_teaches_nothing_is_refused():
    values, labels = faces(2, 5)
    with pytest.raises(BadInput, match="2 faces"):
        policy.fit(values, labels, VECTORS, SOME, quiet)
    with pytest.raises(BadInput, match="labels"):
        policy.fit(values, labels[:, :2], VECTORS, SOME, quiet)
    with pytest.raises(BadInput, match="wanted"):
        policy.Policy(3).ask(np.zeros((2, 3)), np.zeros((2, 4)))

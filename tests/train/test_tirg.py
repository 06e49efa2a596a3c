"""TIRG on latents: a planted translation is learned; triples are what they say."""

import numpy as np
import pytest
import torch

from mien.errors import BadInput
from mien.train import tirg


def quiet(*_):
    """Tell nobody."""


def test_a_planted_translation_is_learned():
    """Targets are queries moved by one vector an attribute; nearest neighbours know nothing."""
    random = np.random.default_rng(0)
    shifts = torch.from_numpy(2 * random.normal(size=(4, 16)).astype(np.float32))

    def batches(seed):
        draw = torch.Generator().manual_seed(seed)
        while True:
            latents = torch.randn(64, 16, generator=draw)
            asked = torch.randint(-1, 2, (64, 4), generator=draw).float()
            yield latents, asked, latents + asked @ shifts

    options = tirg.Options(width=32, steps=150, rate=5e-3)
    torch.manual_seed(0)
    composer = tirg.optimise(tirg.Composer(16, 4, 32), batches(0), options, quiet)
    latents, asked, targets = (part.numpy() for part in next(batches(1)))
    right = tirg.order(composer, targets, latents, asked)[:, 0] == np.arange(64)
    plain = ((latents[:, None] - targets) ** 2).sum(axis=2).argmin(axis=1) == np.arange(64)
    assert right.mean() > 0.9
    assert plain.mean() < 0.5


def test_targets_agree_best_of_all_faces():
    random = np.random.default_rng(1)
    labels = random.choice([-1, 1], (40, 5)).astype(np.int8)
    latents = np.arange(40, dtype=np.float32)[:, None]  # a face's latent is its row
    options = tirg.Options(batch=16, pool=10_000, most=2)
    batches = tirg.triples(latents, labels, options)
    for _ in range(3):
        queries, asked, targets = next(batches)
        for query, wish, target in zip(queries, asked.numpy(), targets, strict=True):
            row, found = int(query), int(target)
            assert row != found
            assert set(wish[wish != 0] * labels[row][wish != 0]) == {-1}
            want = np.where(wish != 0, wish, labels[row])
            agree = (labels * want).sum(axis=1)
            assert agree[found] == np.delete(agree, row).max()


def test_flips_are_of_known_labels_and_as_many_as_asked():
    labels = torch.tensor([[1.0, -1.0, 0.0, 1.0]]).repeat(500, 1)
    asked = tirg.flips(labels, 2, torch.Generator().manual_seed(0))
    assert (asked[:, 2] == 0).all()
    assert set(asked.abs().sum(1).int().tolist()) == {1, 2}
    assert (asked * labels <= 0).all()


def test_a_seed_repeats_and_leaves_the_callers_numbers_alone():
    random = np.random.default_rng(2)
    latents = random.normal(size=(50, 6)).astype(np.float32)
    labels = random.choice([-1, 1], (50, 3)).astype(np.int8)
    options = tirg.Options(width=8, steps=3, batch=8)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, second = (tirg.fit(latents, labels, options, quiet) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_one_face_is_refused():
    with pytest.raises(BadInput, match="no triples"):
        tirg.fit(np.zeros((1, 2), np.float32), np.ones((1, 2), np.int8), tirg.Options(), quiet)

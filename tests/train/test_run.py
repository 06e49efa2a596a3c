"""Batches, logs and checkpoints of a training run."""

import json

import numpy as np
import torch

from mien.train.run import Run, batch_indices, generator


def test_an_epoch_visits_every_row_once():
    rows = np.concatenate([batch_indices(60, 6, step, seed=3) for step in range(10)])
    assert sorted(rows) == list(range(60))


def test_epochs_and_seeds_differ_and_repeat():
    first = batch_indices(60, 6, 0, seed=3)
    assert not np.array_equal(first, batch_indices(60, 6, 10, seed=3))
    assert not np.array_equal(first, batch_indices(60, 6, 0, seed=4))
    assert np.array_equal(first, batch_indices(60, 6, 0, seed=3))


def test_random_numbers_belong_to_the_step():
    draws = [torch.rand(4, generator=generator(1, step)) for step in (5, 5, 6)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_resume_drops_log_lines_after_the_checkpoint(tmp_path):
    run = Run(tmp_path, tensorboard=False)
    for step in range(1, 5):
        run.log(step, {"loss": 1 / step})
        if step == 2:
            run.save(step, weights={"a": torch.ones(2)})
    saved = Run(tmp_path, tensorboard=False).resume()
    assert saved["step"] == 2
    assert torch.equal(saved["weights"]["a"], torch.ones(2))
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]


def test_a_fresh_folder_has_nothing_to_resume(tmp_path):
    assert Run(tmp_path, tensorboard=False).resume() is None

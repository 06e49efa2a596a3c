"""The recogniser's loss and frozen layers."""

import numpy as np
import torch
import torch.nn.functional as F

from mien.recognise import mobilenet_v2
from mien.train import augment
from mien.train.recogniser import freeze, known_cross_entropy
from mien.train.run import generator


def test_unknown_labels_take_no_part_in_the_loss():
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[1, -1, 0, 1]] * 3 + [[0, 0, -1, 0]] * 3, dtype=torch.int8)
    known = labels != 0
    want = F.binary_cross_entropy_with_logits(logits[known], (labels[known] > 0).float())
    torch.testing.assert_close(known_cross_entropy(logits, labels), want)


def test_nothing_known_is_no_loss():
    assert known_cross_entropy(torch.ones(2, 2), torch.zeros(2, 2, dtype=torch.int8)) == 0


def test_smoothing_moves_targets_towards_a_half():
    logits, labels = torch.tensor([[2.0]]), torch.tensor([[1]], dtype=torch.int8)
    want = F.binary_cross_entropy_with_logits(logits, torch.tensor([[0.95]]))
    torch.testing.assert_close(known_cross_entropy(logits, labels, 0.1), want)


def test_frozen_layers_keep_their_statistics():
    trunk = mobilenet_v2.Trunk().train()
    freeze(trunk, 2)
    before = {key: value.clone() for key, value in trunk.state_dict().items()}
    trunk(torch.randn(2, 3, 64, 64))
    changed = {key.split(".")[1] for key, value in trunk.state_dict().items()
               if not torch.equal(value, before[key])}  # fmt: skip
    assert changed == {str(number) for number in range(2, 19)}
    assert not any(value.requires_grad for value in trunk.features[1].parameters())


def test_augmentation_keeps_range_and_repeats_with_its_generator():
    faces = torch.rand(8, 3, 32, 32) * 2 - 1

    def augmented():
        random = generator(0, 7)
        out = augment.jitter_frame(augment.flip(faces, random), random, 0.1)
        return augment.blur(augment.jitter_colour(out, random, 0.3), random, 0.5)

    first = augmented()
    assert torch.equal(first, augmented())
    assert first.abs().max() <= 1
    assert not torch.equal(first, faces)


def test_no_frame_jitter_is_the_identity():
    faces = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(augment.jitter_frame(faces, generator(0, 0), 0.0), faces)


def test_half_of_the_faces_are_mirrored():
    ramp = torch.arange(8.0).expand(1000, 3, 8, 8)
    mirrored = (augment.flip(ramp, generator(0, 0))[:, 0, 0, 0] == 7).float().mean().item()
    assert np.isclose(mirrored, 0.5, atol=0.05)

"""Differentiable augmentation: what it keeps, what it may change, and its adaptive share."""

import pytest
import torch

from mien.train import diff_augment as augmentation
from mien.train.diff_augment import Adaptive, diff_augment
from mien.train.run import generator


@pytest.fixture
def faces():
    return torch.rand(6, 3, 16, 16, generator=generator(0, 0)) * 2 - 1


def test_share_zero_gives_the_faces_back(faces):
    assert torch.equal(diff_augment(faces, generator(0, 1), 0.0), faces)


def test_follows_its_random_numbers(faces):
    first, again, other = (diff_augment(faces, generator(0, step)) for step in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", ["_colour", "_translate", "_cutout"])
def test_gradients_are_finite_differences(faces, name):
    part = getattr(augmentation, name)
    x = faces[:2, :, :6, :6].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda y: part(y, generator(0, 3), 1.0), (x,))


def test_a_part_of_the_faces_stays_as_it_is(faces):
    many = faces.repeat(200, 1, 1, 1)
    moved = (diff_augment(many, generator(0, 4), 0.5) - many).abs()
    changed = (moved > 1e-5).flatten(1).any(1)
    # each of three parts leaves a face alone with probability 1/2, a shift may be by nothing
    assert changed.float().mean() == pytest.approx(1 - 1 / 8, abs=0.03)


def test_translation_moves_whole_pixels_and_fills_with_zeros(faces):
    moved = augmentation._translate(faces, generator(0, 5), 1.0)
    reach = round(16 * augmentation.SHIFT)
    for face, got in zip(faces, moved, strict=True):
        found = [
            (down, right)
            for down in range(-reach, reach + 1)
            for right in range(-reach, reach + 1)
            if torch.equal(got, shifted(face, down, right))
        ]
        assert len(found) == 1


def shifted(face, down, right):
    """out[y, x] = face[y + down, x + right], zero outside."""
    out = torch.zeros_like(face)
    for y in range(16):
        for x in range(16):
            if 0 <= y + down < 16 and 0 <= x + right < 16:
                out[:, y, x] = face[:, y + down, x + right]
    return out


def test_cutout_zeroes_one_rectangle_of_at_most_half_the_side():
    holes = augmentation._cutout(torch.ones(50, 3, 16, 16), generator(0, 6), 1.0) == 0
    for hole in holes:
        rows, columns = hole[0].any(1), hole[0].any(0)
        assert torch.equal(hole, (rows[:, None] & columns[None]).expand(3, 16, 16))
        assert 4 <= rows.sum() <= 8
        assert 4 <= columns.sum() <= 8


def test_colour_keeps_grey_faces_grey():
    grey = torch.rand(5, 1, 8, 8, generator=generator(0, 7)).expand(5, 3, 8, 8)
    out = augmentation._colour(grey, generator(0, 8), 1.0)
    torch.testing.assert_close(out, out[:, :1].expand(5, 3, 8, 8))
    assert not torch.equal(out, grey)


def test_share_follows_how_sure_the_discriminator_is():
    adaptive = Adaptive(reach=1000.0)
    adaptive.update([torch.ones(8)], 100)
    assert adaptive.share == pytest.approx(0.1)
    adaptive.update([torch.tensor([1.0, -1.0])], 50)
    assert adaptive.share == pytest.approx(0.05)
    adaptive.update([-torch.ones(8)], 100)
    assert adaptive.share == 0
    for _ in range(20):
        adaptive.update([torch.ones(8)], 100)
    assert adaptive.share == adaptive.limit

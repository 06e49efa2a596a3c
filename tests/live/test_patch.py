"""The fast cut and paste give what the exact ones of `mien.faces` give."""

from __future__ import annotations

import numpy as np
import pytest

from mien.errors import BadInput
from mien.faces.align import align_celeba, find_pose
from mien.faces.detect import detect
from mien.faces.paste import mask_of, paste
from mien.live.patch import cut, put_back
from tests.live.videos import moved


def psnr(one: np.ndarray, other: np.ndarray, peak: float) -> float:
    return float(10 * np.log10(peak**2 / ((one.astype(float) - other) ** 2).mean()))


def edited(face: np.ndarray) -> np.ndarray:
    """Yellow hair, a darker cheek and a slight tint, as an edit may leave them."""
    out = face.copy()
    out[:2, 5:40, 20:100] += 0.6
    out[:, 80:100, 30:60] -= 0.3
    out[0] += 0.02
    return np.clip(out, -1, 1)


PLACES = {
    "small": (320, 240, 0.6, 0), "as large": (300, 200, 1.0, 12),
    "large": (320, 240, 2.2, -20), "at the border": (40, 60, 1.4, 5),
}  # fmt: skip


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_they_agree_with_the_exact_ones(portrait: np.ndarray, place: str, soft: bool) -> None:
    frame, matrix = moved(portrait, PLACES[place])
    found = detect(portrait)[0]  # in the portrait, then moved as the frame was
    landmarks = found.landmarks @ matrix[:, :2].T + matrix[:, 2]
    face = align_celeba(frame, landmarks, 128)
    unit = face.matrix / 128
    crop = cut(frame, unit, 128)
    assert psnr(crop, face.pixels, 2) > 38
    after = edited(face.pixels)
    wanted, got = paste(frame, face, after, face.pixels, soft), frame.copy()
    put_back(got, unit, after, face.pixels, soft)
    outside = mask_of(frame, face) == 0
    assert np.array_equal(got[outside], frame[outside])
    changed = np.abs(wanted.astype(int) - frame).max(axis=2) > 0
    assert changed.sum() > 500
    assert psnr(got[changed], wanted[changed], 255) > 38
    same = frame.copy()
    put_back(same, unit, face.pixels, face.pixels, soft)
    assert np.array_equal(same, frame)


def test_the_pose_is_that_of_the_aligned_face(portrait: np.ndarray) -> None:
    found = detect(portrait)[0]
    face = align_celeba(portrait, found.landmarks, 64)
    np.testing.assert_allclose(64 * find_pose(portrait, found, "celeba"), face.matrix, atol=1e-9)


def test_the_pose_in_ffhqs_frame_gives_its_crop(portrait: np.ndarray) -> None:
    from mien.faces.align import align_ffhq
    from mien.faces.detect import landmarks68

    found = detect(portrait)[0]
    face = align_ffhq(portrait, landmarks68(portrait, found), 128)
    inside = (slice(None), slice(20, -20), slice(20, -20))  # its crop blurs what lies beyond
    crop = cut(portrait, find_pose(portrait, found, "ffhq"), 128)
    assert psnr(crop[inside], face.pixels[inside], 2) > 28


def test_a_frame_without_colour_stays_without(portrait: np.ndarray) -> None:
    frame, _ = moved(portrait, PLACES["as large"])
    grey = np.repeat(frame[:, :, :1], 3, axis=2)
    unit = find_pose(frame, detect(frame)[0], "celeba")
    crop = cut(grey, unit, 128)
    out = grey.copy()
    put_back(out, unit, edited(crop), crop)
    assert not np.ptp(out.astype(int), axis=2).any()
    assert np.abs(out.astype(int) - grey).max() > 20


def test_a_face_beside_the_frame_and_other_sizes(portrait: np.ndarray) -> None:
    frame = portrait.copy()
    beside = np.array([[1 / 90, 0, 20], [0, 1 / 90, 0]])
    put_back(frame, beside, np.ones((3, 16, 16), np.float32), -np.ones((3, 16, 16), np.float32))
    assert np.array_equal(frame, portrait)
    with pytest.raises(BadInput, match="unchanged face has shape"):
        put_back(frame, beside, np.ones((3, 16, 16), np.float32), np.ones((3, 8, 8), np.float32))

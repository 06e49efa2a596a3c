"""The edited face goes back into the photo, and nothing else of the photo changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import BadInput
from mien.faces._warp import apply, compose
from mien.faces.align import align_celeba, align_ffhq
from mien.faces.detect import detect, landmarks68
from mien.faces.paste import FEATHER, mask_of, paste
from mien.faces.read import read_photo
from mien.types import Face


def placed(size: int, scale: float, angle: float, shift: tuple[float, float]) -> Face:
    """A grey face that covers `scale` photo pixels a side, its centre at `shift`."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn * size / scale
    matrix = np.column_stack([linear, size / 2 - linear @ np.array(shift)])
    return Face(np.zeros((3, size, size), np.float32), matrix, "celeba")


def textured(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 190, (height, width, 3), dtype=np.uint8)


def outside(photo: np.ndarray, face: Face) -> np.ndarray:
    """bool [H, W]: photo pixels whose centre lies outside the face's square."""
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]] + 0.5
    u, v = apply(face.matrix, np.stack([x.ravel(), y.ravel()], axis=1)).T / face.pixels.shape[-1]
    return ((u < 0) | (u > 1) | (v < 0) | (v > 1)).reshape(photo.shape[:2])


PLACES = {
    "inside": placed(64, 150, 0.0, (150, 120)),
    "turned": placed(64, 130, 0.6, (150, 120)),
    "upside down": placed(96, 100, 3.1, (160, 130)),
    "partly outside": placed(64, 200, -0.4, (20, 230)),
    "larger than the photo": placed(32, 900, 0.2, (150, 120)),
    "smaller than its pixels": placed(128, 40, 0.3, (150, 120)),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("with_reconstruction", [False, True])
def test_photo_is_untouched_outside_the_mask(place: str, with_reconstruction: bool) -> None:
    photo, face = textured(240, 300), PLACES[place]
    edited = np.ones_like(face.pixels)
    before = -edited if with_reconstruction else None
    kept = photo.copy()
    result = paste(photo, face, edited, before)
    mask = mask_of(photo, face)
    assert np.array_equal(photo, kept)
    assert result.shape == photo.shape
    assert result.dtype == np.uint8
    assert (mask[outside(photo, face)] == 0).all()
    assert np.array_equal(result[mask == 0], photo[mask == 0])
    assert (result[mask == 1] == 255).all()
    assert (mask == 1).any()


@pytest.mark.parametrize("place", PLACES)
def test_without_an_edit_the_photo_comes_back(place: str) -> None:
    photo, face = textured(240, 300), PLACES[place]
    drawn = np.random.default_rng(1).uniform(-1, 1, face.pixels.shape).astype(np.float32)
    assert np.array_equal(paste(photo, face, drawn, drawn.copy()), photo)


def test_face_beside_the_photo_changes_nothing() -> None:
    photo = textured(50, 60)
    face = placed(32, 40, 0.2, (500, 20))
    assert np.array_equal(paste(photo, face, np.ones_like(face.pixels)), photo)
    assert not mask_of(photo, face).any()


def test_colours_are_continuous_at_the_border() -> None:
    photo = np.full((300, 300, 3), 20, np.uint8)
    face = placed(64, 200, 0.3, (150, 150))
    result = paste(photo, face, np.ones_like(face.pixels)).astype(int)
    steps = max(np.abs(np.diff(result, axis=axis)).max() for axis in (0, 1))
    # The steepest slope of a smoothstep is 1.5 over its width, here along the diagonal at most.
    assert steps <= 235 * 1.5 / (FEATHER * 100) * np.sqrt(2) + 1
    assert result.max() == 255


def test_half_feathered_where_the_mask_is_half() -> None:
    photo = np.full((200, 200, 3), 50, np.uint8)
    face = placed(64, 160, 0.0, (100, 100))
    mask = mask_of(photo, face)[:, :, None]
    wanted = 50 * (1 - mask) + 255 * mask
    result = paste(photo, face, np.ones_like(face.pixels))
    assert np.abs(result - wanted).max() <= 0.5 + 1e-3


def test_detail_of_the_photo_survives_a_small_change() -> None:
    photo, face = textured(200, 200), placed(64, 180, 0.2, (100, 100))
    before = np.zeros_like(face.pixels)
    result = paste(photo, face, before + np.float32(0.03), before)
    full = mask_of(photo, face) == 1
    change = result[full].astype(float) - photo[full]
    assert np.abs(change - 0.03 * 127.5).max() <= 0.5 + 1e-3


def test_detail_is_replaced_where_the_edit_is_large() -> None:
    photo, face = textured(256, 256), placed(64, 240, 0.0, (128, 128))
    before = np.zeros_like(face.pixels)
    edited = before.copy()
    edited[:, 38:48, 22:42] = 0.8
    result = paste(photo, face, edited, before).astype(int)
    y, x = 8 + 43 * 240 // 64, 128
    assert np.abs(result[y - 8 : y + 8, x - 20 : x + 20] - 0.9 * 255).max() <= 2
    assert np.array_equal(result[60:110, 60:200], photo[60:110, 60:200])


def test_a_soft_edit_leaves_all_detail_however_large_it_is() -> None:
    photo, face = textured(200, 200), placed(64, 180, 0.2, (100, 100))
    before = np.zeros_like(face.pixels)
    full = mask_of(photo, face) == 1
    for change in (0.5, -0.9):
        result = paste(photo, face, before + np.float32(change), before, soft=True)
        wanted = np.clip(photo[full] + change * 127.5, 0, 255)
        assert np.abs(result[full] - wanted).max() <= 0.5 + 1e-3
        assert np.ptp(wanted) > 50
    assert np.array_equal(paste(photo, face, before, before, soft=True), photo)


def test_a_face_pasted_unedited_is_nearly_its_photo(astronaut: Path) -> None:
    photo = read_photo(astronaut)
    found = detect(photo)[0]
    faces = {
        0.1: align_celeba(photo, found.landmarks, 256),
        0.6: align_ffhq(photo, landmarks68(photo, found), 256),  # its sampling drops fractions
    }
    for bias, face in faces.items():
        result = paste(photo, face, face.pixels)
        full = mask_of(photo, face) == 1
        error = result[full].astype(float) - photo[full]
        assert 10 * np.log10(255**2 / (error**2).mean()) > 32
        assert np.abs(error.mean()) < bias


def test_turning_the_photo_turns_the_result() -> None:
    photo, face = textured(120, 160), placed(48, 90, 0.4, (70, 60))
    edited = np.random.default_rng(2).uniform(-1, 1, face.pixels.shape).astype(np.float32)
    back = np.array([[-1.0, 0, 160], [0, -1, 120]])
    turned = Face(face.pixels, compose(face.matrix, back), face.frame)
    plain = paste(photo, face, edited).astype(int)
    other = paste(np.ascontiguousarray(photo[::-1, ::-1]), turned, edited).astype(int)
    assert np.abs(other[::-1, ::-1] - plain).max() <= 1


def test_enlarging_is_smooth() -> None:
    """A face of 16 pixels in a large photo shows no blocks."""
    photo, face = np.zeros((400, 400, 3), np.uint8), placed(16, 380, 0.0, (200, 200))
    ramp = np.linspace(-1, 1, 16, dtype=np.float32)
    edited = np.broadcast_to(ramp, (3, 16, 16)).copy()
    row = paste(photo, face, edited)[200, 90:310, 0].astype(int)
    expected = np.asarray(Image.fromarray(ramp[None]).resize((380, 1), Image.Resampling.BICUBIC))
    assert np.abs(row - (expected[0, 80:300] + 1) * 127.5).max() < 1.5


def test_other_shapes_and_dtypes_are_refused() -> None:
    photo, face = textured(50, 50), placed(32, 40, 0.0, (20, 20))
    with pytest.raises(BadInput, match="edited face has shape"):
        paste(photo, face, np.zeros((3, 31, 31), np.float32))
    with pytest.raises(BadInput, match="reconstruction has shape"):
        paste(photo, face, face.pixels, np.zeros((3, 31, 31), np.float32))
    with pytest.raises(BadInput, match="uint8"):
        paste(photo.astype(float), face, face.pixels)


def test_a_grey_photo_stays_grey() -> None:
    grey = np.repeat(textured(240, 300)[:, :, :1], 3, axis=2)
    face = PLACES["inside"]
    red = np.stack([np.ones((64, 64)), -np.ones((64, 64)), -np.ones((64, 64))]).astype(np.float32)
    result = paste(grey, face, red)
    assert not np.ptp(result.astype(int), axis=2).any()
    assert result[120, 150, 0] == round(0.299 * 255)
    assert np.array_equal(paste(grey, face, red, red), grey)

"""Both frames against recorded numbers, other libraries and closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import transform

from mien.errors import BadInput
from mien.faces import cache
from mien.faces._ffhq import find_quad
from mien.faces._warp import apply, corners, invert
from mien.faces.align import REFERENCE, align_celeba, align_ffhq, aligned_face, similarity
from mien.faces.celeba import CROP, read_celeba
from mien.faces.detect import detect, landmarks68
from mien.faces.read import read_photo
from mien.types import Face
from tests.faces.reference import measured
from tests.parity import fill

POSES = ("plain", "rotated", "border", "large")
FIXTURE = fill.load(Path(fill.__file__).parent / "ffhq_align")


def bytes_of(pixels: np.ndarray) -> np.ndarray:
    return cache.to_bytes(pixels[None])[0]


def landmarks_at(angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    """Five landmarks whose CelebA frame lies turned, scaled and shifted in a photo."""
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return REFERENCE @ turn.T + shift - 0.5


def sources(face: Face) -> np.ndarray:
    """float64 [S, S, 2]: where the photo lies under the centre of each face pixel."""
    size = face.pixels.shape[-1]
    centres = np.stack(np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5), axis=-1)
    return apply(invert(face.matrix), centres.reshape(-1, 2)).reshape(size, size, 2)


@pytest.mark.parametrize("pose", POSES)
def test_ffhq_gives_the_recorded_pixels_and_quad(pose: str) -> None:
    photo, points = FIXTURE.input(f"{pose}.image"), FIXTURE.input(f"{pose}.landmarks")
    wanted = FIXTURE.output(f"{pose}.quad")
    assert np.abs(find_quad(points).corners - wanted).max() <= 1e-9
    worst, passes = FIXTURE.check(
        f"{pose}.aligned", bytes_of(align_ffhq(photo, points, 256).pixels)
    )
    assert passes, f"differs by {worst}"


@pytest.mark.parametrize("pose", POSES)
@pytest.mark.parametrize("size", [64, 129, 256])
def test_ffhq_matrix_is_where_the_pixels_came_from(pose: str, size: int) -> None:
    photo, points = FIXTURE.input(f"{pose}.image"), FIXTURE.input(f"{pose}.landmarks")
    slope = 0.25 if pose == "large" else 1.0  # levels a pixel
    middle = np.floor(FIXTURE.output(f"{pose}.quad").mean(axis=0)) + 0.5
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]]
    ramps = 128 + slope * (np.stack([x, y, y], axis=2) + 0.5 - middle[[0, 1, 1]])
    # Coordinates as colours: each face pixel tells which photo pixel it shows. With noise, and
    # rising as well as falling, because rounding and Pillow's dropped fractions would shift it.
    noise = np.random.default_rng(0).normal(0, 5, (2, *ramps.shape))
    up, down = (
        align_ffhq(np.clip(np.rint(colours), 0, 255).astype(np.uint8), points, size)
        for colours in (ramps + noise[0], 255 - ramps + noise[1])
    )
    level = ((up.pixels - down.pixels)[:2].transpose(1, 2, 0) / 2 + 1) * 127.5
    source = sources(up)
    # Not where the ramp ends, nor where the border is reflected and blurred (0.1 of the quad).
    rim = 0.2 * size / np.hypot(*up.matrix[0, :2])
    inside = (np.abs(level - 128) < 100) & (source > rim) & (source < photo.shape[1::-1] - rim)
    error = ((level - 128) / slope + middle - source)[inside.all(axis=2)]
    assert len(error) > 0.04 * size**2
    assert np.abs(error.mean(axis=0)).max() < 0.15 / slope
    assert np.abs(error).max() < 25 / slope


def test_ffhq_supersampled_is_the_same_picture(astronaut: Path) -> None:
    photo = read_photo(astronaut)
    points = landmarks68(photo, detect(photo)[0])
    plain = align_ffhq(photo, points, 128)
    fine = align_ffhq(photo, points, 128, transform_size=512)
    assert np.array_equal(plain.matrix, fine.matrix)
    assert 0 < np.abs(plain.pixels - fine.pixels).mean() < 0.03


@pytest.mark.parametrize("where", [-5000.0, 5000.0])
def test_ffhq_landmarks_outside_the_photo(where: float) -> None:
    photo, points = FIXTURE.input("plain.image"), FIXTURE.input("plain.landmarks")
    with pytest.raises(BadInput, match="outside the photo"):
        align_ffhq(photo, points + where, 64)


def test_coinciding_landmarks_are_no_face() -> None:
    photo = np.zeros((50, 50, 3), np.uint8)
    with pytest.raises(BadInput, match="too close"):
        align_ffhq(photo, np.full((68, 2), 20.0), 64)
    with pytest.raises(BadInput, match="too close"):
        align_celeba(photo, np.full((5, 2), 20.0), 64)


def test_similarity_is_umeyamas() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        source, target = rng.normal(size=(2, 5, 2)) * 50 + 100
        target = source @ rng.normal(size=(2, 2)) * 0.1 + source * 1.3 + target * 0.05
        other = transform.SimilarityTransform.from_estimate(source, target)
        assert np.allclose(similarity(source, target), other.params[:2], atol=1e-8)


@pytest.mark.parametrize("size", [33, 64, 101, 128, 400])
@pytest.mark.parametrize(("angle", "scale"), [(0, 150), (0.4, 150), (-0.3, 60), (3.0, 200)])
def test_celeba_pixels_lie_where_the_matrix_says(size: int, angle: float, scale: float) -> None:
    y, x = np.mgrid[:256, :256]
    photo = np.stack([x, y, x * 0 + 77], axis=2).astype(np.uint8)
    centred = np.array([128, 128]) - landmarks_at(angle, scale, (0, 0)).mean(axis=0)
    face = align_celeba(photo, landmarks_at(angle, scale, (centred[0], centred[1])), size)
    source = sources(face)
    # Away from the photo's edge, by more than the averaging kernel reaches.
    reach = 4 + 6 * scale / size
    inside = ((source > reach) & (source < 256 - reach)).all(axis=2)
    shown = (face.pixels.transpose(1, 2, 0) + 1) * 127.5
    assert inside.any()
    assert np.abs(shown[..., :2] + 0.5 - source)[inside].max() < 0.6  # block means are whole levels
    assert np.abs(shown[..., 2] - 77).max() < 1e-3


def test_celeba_agrees_with_another_librarys_warp(astronaut: Path) -> None:
    photo = read_photo(astronaut)
    face = align_celeba(photo, detect(photo)[0].landmarks, 200)
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    inverse = half @ np.linalg.inv(np.vstack([face.matrix, [0, 0, 1]]))
    inverse = np.linalg.inv(half) @ np.vstack([invert(face.matrix), [0, 0, 1]]) @ half
    other = transform.warp(photo / 255, inverse, output_shape=(200, 200), order=3, mode="edge")
    mine = (face.pixels.transpose(1, 2, 0) + 1) / 2
    assert np.sqrt(((mine - other) ** 2).mean()) < 0.012


def test_celeba_shrinking_does_not_alias() -> None:
    y, x = np.mgrid[:1200, :1200]
    board = np.repeat((((x + y) % 2) * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    for angle in (0.0, 0.3):
        face = align_celeba(board, landmarks_at(angle, 700, (200, 100)), 64)
        assert np.abs(face.pixels).max() < 0.03


def test_celeba_repeats_the_edge_beyond_the_photo() -> None:
    photo = np.full((100, 100, 3), 200, np.uint8)
    face = align_celeba(photo, landmarks_at(0.2, 150, (-60, -70)), 64)
    assert np.abs((face.pixels + 1) * 127.5 - 200).max() < 1e-3


def test_celeba_finds_any_similarity_again(astronaut: Path) -> None:
    """Turned, shrunk and moved photos give the same face."""
    photo = read_photo(astronaut)
    face = align_celeba(photo, detect(photo)[0].landmarks, 96)
    turned = Image.fromarray(photo).rotate(12, Image.Resampling.BICUBIC).resize((900, 900))
    again = align_celeba(np.asarray(turned), detect(np.asarray(turned))[0].landmarks, 96)
    assert np.abs(face.pixels - again.pixels).mean() < 0.08


def test_aligned_celeba_photo_is_the_training_crop(celeba_root: Path) -> None:
    path = read_celeba(celeba_root, "valid").paths[0]
    face = aligned_face(read_photo(path), 128)
    assert np.array_equal(bytes_of(face.pixels), cache.load_crop(path, 128))
    assert np.allclose(apply(face.matrix, np.array([CROP[:2], CROP[2:]])), [[0, 0], [128, 128]])


def test_aligned_square_is_taken_as_it_is() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    face = aligned_face(photo, 64, "ffhq")
    assert np.array_equal(bytes_of(face.pixels), photo)
    assert np.array_equal(face.matrix, np.eye(3)[:2])
    assert face.frame == "ffhq"


def test_aligned_oblong_takes_its_centre() -> None:
    photo = np.zeros((40, 100, 3), np.uint8)
    photo[:, 25:75] = 255
    assert (aligned_face(photo, 20).pixels == 1).all()


def test_other_dtypes_and_shapes_are_refused() -> None:
    for photo in (np.zeros((40, 40, 3)), np.zeros((40, 40), np.uint8)):
        with pytest.raises(BadInput):
            aligned_face(photo, 20)


def test_reference_is_what_celeba_shows(celeba_root: Path) -> None:
    side = CROP[2] - CROP[0]
    assert np.abs(measured(celeba_root, 80) - REFERENCE).max() * side < 1.5
    eyes = REFERENCE[:4].reshape(2, 2, 2).mean(axis=1) * side + CROP[:2]
    assert np.abs(eyes - [(108, 113), (69, 113)]).max() < 1.5  # medians of CelebA's own landmarks


def test_whole_celeba_photos_come_back_as_their_crop(celeba_root: Path) -> None:
    """Aligning a photo that is aligned already moves its face by few pixels of 178."""
    side = CROP[2] - CROP[0]
    moved = []
    for path in read_celeba(celeba_root, "test").paths[:40]:
        photo = read_photo(path)
        found = detect(photo)
        if found:
            face = align_celeba(photo, found[0].landmarks, side)
            centre = side / 2 + np.array([0, 20]) + corners(70, 70) - 35
            shown = apply(face.matrix, centre) + np.array([0, 20])
            moved.append(np.abs(shown - centre).mean())
    assert len(moved) >= 35
    assert np.median(moved) < 4
    assert np.percentile(moved, 90) < 9

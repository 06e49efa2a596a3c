"""Faces are followed where they go, held still where they rest, and found again when lost."""

from __future__ import annotations

import numpy as np
import pytest

from mien.faces._warp import apply, compose, invert
from mien.faces.align import find_pose
from mien.faces.detect import detect_near
from mien.live import track
from mien.live.pose import matrix_of, numbers_of
from mien.live.smooth import SmoothOptions
from mien.live.track import Followed, Tracker, TrackOptions
from tests.live.videos import HEIGHT, WIDTH, moved, noisy, sway

STILL = (320, 220, 1.4, 0)
CORNERS = np.array([(0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8), (0.5, 0.5)])  # of the face
WHOLE = (0, 0, WIDTH, HEIGHT)


def places(unit: np.ndarray) -> np.ndarray:
    """Where five points of a face lie in its frame, [5, 2]."""
    return apply(invert(unit), CORNERS)


def test_four_numbers_are_the_pose() -> None:
    numbers = np.array([310.5, 200.25, np.log(180), 0.4])
    np.testing.assert_allclose(numbers_of(matrix_of(numbers)), numbers)
    centre = apply(matrix_of(numbers), numbers[None, :2])
    np.testing.assert_allclose(centre, [[0.5, 0.5]])


def test_a_moving_face_is_followed_within_two_pixels(portrait: np.ndarray) -> None:
    tracker, random = Tracker(), np.random.default_rng(0)
    start = places(find_pose(portrait, detect_near(portrait, (0, 0, 512, 512))[0], "celeba"))
    people, errors = set(), []
    for number, where in enumerate(sway(60)):
        frame, matrix = moved(portrait, where)
        (face,) = tracker.follow(noisy(frame, random, 3), number / 30)
        people.add(face.person)
        truth = apply(compose(matrix, np.eye(2, 3)), start - 0.5) + 0.5
        errors.append(places(face.matrix) - truth)
    offset = np.mean(errors, axis=(0, 1))  # of dlib's landmarks in the portrait itself
    assert people == {1}
    assert np.abs(offset).max() < 3
    assert np.linalg.norm(np.array(errors) - offset, axis=2).mean() < 2
    assert np.linalg.norm(np.array(errors) - offset, axis=2).max() < 5


def test_between_detections_the_flow_alone_keeps_to_the_face(portrait: np.ndarray) -> None:
    quick = SmoothOptions(least=1e6)  # no steadying
    tracker = Tracker(options=TrackOptions(every=1000, smooth=quick))
    seen = []
    for number, where in enumerate(sway(30)):
        frame, matrix = moved(portrait, where)
        (face,) = tracker.follow(frame, number / 30)
        seen.append(places(compose(face.matrix, matrix)))  # in the portrait
    assert np.abs(np.array(seen) - seen[0]).max() < 1.0


def test_a_resting_face_trembles_less_than_its_detections(portrait: np.ndarray) -> None:
    frame, _ = moved(portrait, STILL)
    tracker, random = Tracker(), np.random.default_rng(1)
    steady, seen = [], []
    for number in range(40):
        shot = noisy(frame, random)
        (face,) = tracker.follow(shot, number / 30)
        steady.append(places(face.matrix))
        seen.append(places(find_pose(shot, detect_near(shot, WHOLE)[0], "celeba")))
    tremble = [np.abs(np.diff(values, axis=0)).mean() for values in (steady, seen)]
    assert tremble[0] < 0.1 * tremble[1]
    assert np.std(steady, axis=0).mean() < np.std(seen, axis=0).mean()


def test_detections_are_few(portrait: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    scans: list[tuple[float, ...]] = []
    real = track.detect_near

    def counted(pixels: np.ndarray, near: track.Box, scale: float = 1.0) -> list[track.Detection]:
        scans.append(near)
        return real(pixels, near, scale)

    monkeypatch.setattr(track, "detect_near", counted)
    tracker = Tracker(options=TrackOptions(every=10))
    frame, _ = moved(portrait, STILL)
    for number in range(25):
        tracker.follow(frame, number / 30)
    assert len(scans) == 3
    assert scans[0] == WHOLE
    left, top, right, bottom = scans[1]
    assert (right - left) * (bottom - top) < 0.5 * WIDTH * HEIGHT


def test_a_cut_loses_the_face_and_another_is_found_at_once(portrait: np.ndarray) -> None:
    tracker = Tracker()
    one, _ = moved(portrait, (200, 200, 1.2, 0))
    other, _ = moved(portrait[:, ::-1].copy(), (288, 260, 1.6, 0))
    first = [tracker.follow(one, n / 30) for n in range(4)][-1]
    second = tracker.follow(other, 4 / 30)
    assert [face.person for face in (*first, *second)] == [1, 2]
    fresh = find_pose(other, detect_near(other, WHOLE)[0], "celeba")
    assert np.abs(places(second[0].matrix) - places(fresh)).max() < 1


def test_a_face_that_went_is_not_followed(portrait: np.ndarray) -> None:
    tracker = Tracker(options=TrackOptions(every=2))
    frame, _ = moved(portrait, STILL)
    blank = np.full_like(frame, 90)
    assert tracker.follow(frame, 0.0)
    assert tracker.follow(blank, 0.03) == []
    assert tracker.follow(blank[:240, :320], 0.06) == []  # a stream may change its size
    found: list[Followed] = []
    for number in range(3, 6):
        found = found or tracker.follow(frame, number / 30)
    assert [face.person for face in found] == [2]


def test_several_faces_the_largest_first(portrait: np.ndarray) -> None:
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frame[:, :320] = moved(portrait, (160, 200, 1.1, 0))[0][:, :320]
    frame[:, 320:] = moved(portrait, (480, 240, 1.6, 0))[0][:, 320:]
    for faces, wanted in ((1, [480]), (2, [480, 160]), (5, [480, 160])):
        tracker = Tracker(options=TrackOptions(faces=faces))
        for number in range(3):
            found = tracker.follow(frame, number / 30)
        centres = [apply(invert(face.matrix), CORNERS[4:])[0, 0] for face in found]
        assert centres == pytest.approx(wanted, abs=25)

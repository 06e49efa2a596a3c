"""Follow faces: found every few frames, carried by optical flow in between, and steadied.

Flow: Lucas and Kanade in pyramids (Bouguet, 2000), each point followed forward and
back as in Kalal et al., "Forward-Backward Error" (ICPR 2010); points that do not
come back are dropped, the rest vote for one similarity.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mien.faces._warp import apply, compose, invert
from mien.faces.align import find_pose, similarity
from mien.faces.detect import Box, Detection, detect_near
from mien.live._cv2 import cv2
from mien.live.pose import difference, matrix_of, numbers_of, side_of
from mien.live.smooth import OneEuro, SmoothOptions

POINTS, FEWEST = 60, 10  # followed on a face, at most and at least
WINDOW, LEVELS = 11, 3  # of the flow: pixels a side, and halvings
CRITERIA = (3, 10, 0.03)  # of the flow: at most 10 steps, or until one is below 0.03 pixels
MARGIN = 0.5  # of the face's width: how far around it flow is computed, and may reach
RETURN = 1.0  # pixels from where it began that a point may come back to
NEAR = 0.6  # of the face's width: how far around it is looked for again
WIDTH = 100.0  # pixels of the face's width when it is looked for again; dlib's window has 80
SAME = 0.3  # overlap (intersection over union) from which a find is the face that is followed
MISSES = 3  # finds in a row that fail before a face counts as gone
GAIN = 0.2  # of a find's correction that is taken, once several were
JUMP = np.array([0.25, 0.25, 0.3, 0.4])  # sides, sides, log, radians: beyond it flow was wrong


@dataclass(frozen=True)
class TrackOptions:
    """How faces are followed."""

    faces: int = 1  # at most so many, the largest first
    every: int = 10  # frames from one detection to the next
    scan: int = 640  # pixels of the frame's longer side when new faces are looked for
    smooth: SmoothOptions = field(default_factory=SmoothOptions)


@dataclass(frozen=True)
class Followed:
    """A face in a frame: who (a number that stays while it is followed), and where (pose.py)."""

    person: int
    matrix: np.ndarray


@dataclass
class _Track:
    person: int
    box: Box
    pose: np.ndarray  # unit map, before steadying
    steady: OneEuro
    points: np.ndarray  # float32 [N, 1, 2], pixel centres at integers
    finds: int = 1
    misses: int = 0


class Tracker:
    """Give it every frame in its order; it tells where the faces are."""

    def __init__(self, frame: str = "celeba", options: TrackOptions | None = None) -> None:
        """frame: of the faces, "celeba" or "ffhq"."""
        self.options = options or TrackOptions()
        self._frame = frame
        self._tracks: list[_Track] = []
        self._grey: np.ndarray | None = None
        self._until = 0  # frames to the next detection
        self._people = 0

    def follow(self, pixels: np.ndarray, seconds: float) -> list[Followed]:
        """The faces of the next frame (uint8 [H, W, 3]) at `seconds`, longest followed first."""
        grey = cv2().cvtColor(pixels, cv2().COLOR_RGB2GRAY)
        before = len(self._tracks)
        if self._grey is not None and self._grey.shape == grey.shape:
            self._tracks = [t for t in self._tracks if _carry(t, self._grey, grey)]
        else:
            self._tracks = []
        self._grey = grey
        if self._until <= 0 or len(self._tracks) < before:
            self._detect(pixels, grey)
            self._until = self.options.every
        self._until -= 1
        return [self._steadied(track, seconds) for track in self._tracks]

    def _steadied(self, track: _Track, seconds: float) -> Followed:
        numbers = numbers_of(track.pose)
        side = side_of(numbers)
        steady = track.steady(numbers, seconds, np.array([side, side, 1, 1]))
        return Followed(track.person, matrix_of(steady))

    def _detect(self, pixels: np.ndarray, grey: np.ndarray) -> None:
        self._tracks = [track for track in self._tracks if self._found_again(track, pixels, grey)]
        missing = self.options.faces - len(self._tracks)
        if missing <= 0:
            return
        height, width = pixels.shape[:2]
        scale = min(1.0, self.options.scan / max(height, width))
        found = detect_near(pixels, (0, 0, width, height), scale)
        new = [f for f in found if all(_overlap(f.box, t.box) < SAME for t in self._tracks)]
        for detection in new[:missing]:
            self._tracks.append(self._begun(detection, pixels, grey))

    def _begun(self, found: Detection, pixels: np.ndarray, grey: np.ndarray) -> _Track:
        self._people += 1
        return _Track(
            self._people, found.box, find_pose(pixels, found, self._frame),
            OneEuro(self.options.smooth), _points(grey, found.box),
        )  # fmt: skip

    def _found_again(self, track: _Track, pixels: np.ndarray, grey: np.ndarray) -> bool:
        """Whether a track goes on; where its face is found again, it is corrected."""
        left, top, right, bottom = track.box
        margin, width = NEAR * (right - left), right - left
        around = (left - margin, top - margin, right + margin, bottom + margin)
        found = detect_near(pixels, around, WIDTH / width)
        best = max(found, key=lambda f: _overlap(f.box, track.box), default=None)
        if best is None or _overlap(best.box, track.box) < SAME:
            track.misses += 1
            track.points = _points(grey, track.box)
            return track.misses < MISSES
        self._correct(track, find_pose(pixels, best, self._frame))
        track.box, track.misses = best.box, 0
        track.points = _points(grey, best.box)
        return True

    def _correct(self, track: _Track, seen: np.ndarray) -> None:
        """Move towards what was seen: a little, for landmarks tremble; all of it after a jump."""
        here, there = numbers_of(track.pose), numbers_of(seen)
        gap = difference(there, here)
        side = side_of(here)
        if (np.abs(gap) > JUMP * np.array([side, side, 1, 1])).any():
            track.pose, track.finds = seen, 1
            return
        track.finds += 1
        track.pose = matrix_of(here + max(GAIN, 1 / track.finds) * gap)


def _carry(track: _Track, before: np.ndarray, now: np.ndarray) -> bool:
    """Move a track with the flow between two grey frames; False when it is lost."""
    moved = _motion(before, now, track)
    if moved is None:
        return False
    motion, points = moved
    outline = apply(motion, np.array(track.box).reshape(2, 2))
    centre, scale = outline.mean(axis=0), np.hypot(*motion[:, 0])
    half = scale * np.array([track.box[2] - track.box[0], track.box[3] - track.box[1]]) / 2
    height, width = now.shape
    if not (0 <= centre[0] < width and 0 <= centre[1] < height):
        return False
    track.box = (*(centre - half).tolist(), *(centre + half).tolist())
    back = invert(motion)
    half_pixel = np.array([[0, 0, 0.5], [0, 0, 0.5]])  # from centres at integers
    back = np.column_stack([back[:, :2], back[:, 2] + 0.5 - back[:, :2] @ half_pixel[:, 2]])
    track.pose, track.points = compose(track.pose, back), points
    return True


def _motion(
    before: np.ndarray, now: np.ndarray, track: _Track
) -> tuple[np.ndarray, np.ndarray] | None:
    """(similarity, points that kept to it) from one grey frame to the next; None when lost."""
    if len(track.points) < FEWEST:
        return None
    (left, top), window = _window(track.box, now)
    old, new = before[window], now[window]
    origin = np.array([left, top], np.float32)
    begun = track.points - origin
    settings = {"winSize": (WINDOW, WINDOW), "maxLevel": LEVELS, "criteria": CRITERIA}
    ended, ahead, _ = cv2().calcOpticalFlowPyrLK(old, new, begun, None, **settings)
    again, back, _ = cv2().calcOpticalFlowPyrLK(new, old, ended, None, **settings)
    astray = np.linalg.norm(again - begun, axis=2)[:, 0]
    good = (ahead[:, 0] == 1) & (back[:, 0] == 1) & (astray < RETURN)
    source, target = begun[good, 0] + origin, ended[good, 0] + origin
    for _ in range(2):  # all points vote, then those that agree
        if len(source) < FEWEST:
            return None
        motion = similarity(source.astype(np.float64), target.astype(np.float64))
        error = np.linalg.norm(apply(motion, source) - target, axis=1)
        agree = error <= 2.5 * np.median(error) + 0.1
        source, target = source[agree], target[agree]
    if not 0.8 < np.hypot(*motion[:, 0]) < 1.25:
        return None
    return motion, target[:, None].astype(np.float32)


def _window(box: Box, grey: np.ndarray) -> tuple[tuple[int, int], tuple[slice, slice]]:
    """The part of a frame that flow is computed in, and where it begins."""
    height, width = grey.shape
    margin = MARGIN * (box[2] - box[0])
    left, top = max(0, int(box[0] - margin)), max(0, int(box[1] - margin))
    right, bottom = min(width, int(box[2] + margin)), min(height, int(box[3] + margin))
    return (left, top), (slice(top, bottom), slice(left, right))


def _points(grey: np.ndarray, box: Box) -> np.ndarray:
    """float32 [N, 1, 2]: corners inside the ellipse of a face's box."""
    height, width = grey.shape
    left, top = max(0, int(box[0])), max(0, int(box[1]))
    part = grey[top : min(height, int(box[3])), left : min(width, int(box[2]))]
    if min(part.shape) < WINDOW:
        return np.zeros((0, 1, 2), np.float32)
    middle = (part.shape[1] // 2, part.shape[0] // 2)
    mask = cv2().ellipse(np.zeros(part.shape, np.uint8), middle, middle, 0, 0, 360, 255, -1)
    apart = max(3, part.shape[1] / 20)
    found = cv2().goodFeaturesToTrack(part, POINTS, 0.005, apart, mask=mask)
    if found is None:
        return np.zeros((0, 1, 2), np.float32)
    return np.asarray(found + np.array([left, top], np.float32), np.float32)


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0.0, width) * max(0.0, height)
    areas = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other))
    return both / (areas - both)

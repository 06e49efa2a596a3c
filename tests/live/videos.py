"""Real videos made from the public-domain portrait, moved in a known way."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT = 640, 480
CENTRE = (224.0, 128.0)  # of the face in the portrait
RATE = 30


def moved(portrait: np.ndarray, numbers: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """(frame uint8 [480, 640, 3], map [2, 3] from the portrait's pixels to the frame's).

    numbers: x and y of the face's centre in the frame, its enlargement, degrees.
    """
    x, y, scale, angle = numbers
    matrix = cv2.getRotationMatrix2D(CENTRE, angle, scale)
    matrix[:, 2] += np.array([x, y]) - CENTRE
    frame = cv2.warpAffine(
        portrait, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return frame, matrix


def sway(count: int) -> list[tuple[float, float, float, float]]:
    """A head that moves as heads do: up to 4 pixels a frame, nearer and farther, and tilting."""
    steps = np.arange(count)
    x, y = 320 + 60 * np.sin(steps / 15), 220 + 25 * np.sin(steps / 11)
    scale, angle = 1.3 + 0.1 * np.sin(steps / 20), 8 * np.sin(steps / 17)
    return list(zip(x, y, scale, angle, strict=True))


def noisy(frame: np.ndarray, random: np.random.Generator, sigma: float = 4.0) -> np.ndarray:
    """A frame as a camera in a dim room sees it."""
    return np.clip(frame + random.normal(0, sigma, frame.shape), 0, 255).astype(np.uint8)


def write(path: Path, frames: Sequence[np.ndarray], lossless: bool = True) -> Path:
    """The frames as a video at 30 frames a second; lossless in RGB, else as H.264 at 4:2:0."""
    import av

    with av.open(str(path), "w") as container:
        codec, kind, options = (
            ("libx264rgb", "rgb24", {"qp": "0"}) if lossless else ("libx264", "yuv420p", {})
        )
        stream = container.add_stream(
            codec, rate=Fraction(RATE), options={"preset": "ultrafast"} | options
        )
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = kind
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def read(path: Path) -> tuple[np.ndarray, list[float]]:
    """(frames uint8 [T, H, W, 3], the second each is shown at)."""
    import av

    with av.open(str(path)) as container:
        pictures = list(container.decode(video=0))
    return np.stack([p.to_ndarray(format="rgb24") for p in pictures]), [p.time for p in pictures]

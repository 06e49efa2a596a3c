"""Write an animation (GIF or MP4) that says it was made by a model.

Marked as pictures are (mark.py): an XMP packet, in a GIF as the application extension
and in an MP4 as the box that the XMP specification (part 3) names, and the
note once more as the file's comment.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mien.checks import check_shape
from mien.errors import BadInput
from mien.files import write_bytes
from mien.provenance import _xmp
from mien.provenance.video import VideoOptions, VideoWriter

SUFFIXES = (".gif", ".mp4")
GIF_MAGIC = bytes([1, *range(255, -1, -1), 0])  # ends the packet for readers that count blocks


@dataclass(frozen=True)
class AnimationOptions:
    """How frames become an animation."""

    seconds: float = 0.08  # a frame is shown; GIF counts hundredths
    back: bool = True  # return to the first frame by the same way, so that the loop is smooth
    generated: bool = False  # nothing of a photo is in it (see _xmp.packet)


def save_animation(
    path: Path,
    frames: np.ndarray,
    note: Mapping[str, Any],
    options: AnimationOptions | None = None,
) -> None:
    """Write frames (uint8 [T, H, W, 3] RGB) as GIF or MP4, marked, atomically.

    note: JSON values, normally the recipe. Raises BadInput for another suffix than
    .gif or .mp4, no frames, or a file that cannot be written; MissingExtra for an
    MP4 where PyAV is not installed.
    """
    path, options = Path(path), options or AnimationOptions()
    check_shape(frames, (None, None, None, 3), "animation")
    if frames.dtype != np.uint8 or not len(frames) or not options.seconds > 0:
        raise BadInput("an animation needs uint8 RGB frames, one or more, shown for some time")
    if path.suffix.lower() not in SUFFIXES:
        raise BadInput(f"cannot write {path}: animations are saved as .gif or .mp4")
    if options.back:
        frames = np.concatenate([frames, frames[-2:0:-1]])
    encode = _gif if path.suffix.lower() == ".gif" else _mp4
    write_bytes(path, encode(frames, note, options))


def _gif(frames: np.ndarray, note: Mapping[str, Any], options: AnimationOptions) -> bytes:
    text = json.dumps(dict(note), ensure_ascii=True, sort_keys=True)
    pictures = [Image.fromarray(frame).quantize(256) for frame in frames]
    stream = io.BytesIO()
    pictures[0].save(
        stream, "GIF", save_all=True, append_images=pictures[1:], loop=0,
        duration=max(round(options.seconds * 1000), 10), comment=text.encode("ascii"),
    )  # fmt: skip
    data = stream.getvalue()
    extension = b"\x21\xff\x0bXMP DataXMP" + _xmp.packet(text, options.generated) + GIF_MAGIC
    return data[:-1] + extension + data[-1:]  # before the trailer


def _mp4(frames: np.ndarray, note: Mapping[str, Any], options: AnimationOptions) -> bytes:
    stream = io.BytesIO()
    shown = VideoOptions(rate=1 / options.seconds, generated=options.generated)
    writer = VideoWriter(stream, note, shown)
    for number, frame in enumerate(frames):
        writer.add(frame, number * options.seconds)
    writer.close(whole=True)
    return stream.getvalue()

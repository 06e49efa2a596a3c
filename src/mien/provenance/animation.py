"""Write an animation (GIF or MP4) that says it was made by a model.

Marked as pictures are (mark.py): an XMP packet, in a GIF as the application extension
and in an MP4 as the box that the XMP specification (part 3) names, and the
note once more as the file's comment.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mien.checks import check_shape
from mien.errors import BadInput, MissingExtra
from mien.files import write_bytes
from mien.provenance import _xmp

SUFFIXES = (".gif", ".mp4")
XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # its identifier in MP4
GIF_MAGIC = bytes([1, *range(255, -1, -1), 0])  # ends the packet for readers that count blocks
QUALITY = "18"  # H.264 constant rate factor: visually lossless


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
    text = json.dumps(dict(note), ensure_ascii=True, sort_keys=True)
    encode = _gif if path.suffix.lower() == ".gif" else _mp4
    write_bytes(path, encode(frames, text, options))


def _gif(frames: np.ndarray, text: str, options: AnimationOptions) -> bytes:
    pictures = [Image.fromarray(frame).quantize(256) for frame in frames]
    stream = io.BytesIO()
    pictures[0].save(
        stream, "GIF", save_all=True, append_images=pictures[1:], loop=0,
        duration=max(round(options.seconds * 1000), 10), comment=text.encode("ascii"),
    )  # fmt: skip
    data = stream.getvalue()
    extension = b"\x21\xff\x0bXMP DataXMP" + _xmp.packet(text, options.generated) + GIF_MAGIC
    return data[:-1] + extension + data[-1:]  # before the trailer


def _mp4(frames: np.ndarray, text: str, options: AnimationOptions) -> bytes:
    try:
        import av
    except ImportError as error:
        raise MissingExtra(
            "MP4 needs PyAV; run: pip install 'mien[video]', or save .gif"
        ) from error
    stream = io.BytesIO()
    rate = Fraction(options.seconds).limit_denominator(1000)
    with av.open(stream, "w", format="mp4") as container:
        container.metadata["comment"] = text
        video = container.add_stream("libx264", rate=1 / rate, options={"crf": QUALITY})
        even = _even(frames)  # 4:2:0 halves the colours' resolution
        video.height, video.width, video.pix_fmt = *even.shape[1:3], "yuv420p"
        for frame in even:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            container.mux(video.encode(picture))
        container.mux(video.encode())
    packet = _xmp.packet(text, options.generated)
    head = struct.pack(">I4s", 24 + len(packet), b"uuid") + XMP_BOX
    return stream.getvalue() + head + packet


def _even(frames: np.ndarray) -> np.ndarray:
    """Frames with even height and width, the last row or column repeated where one is odd."""
    pad = [(0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)]
    return np.pad(frames, pad, mode="edge")

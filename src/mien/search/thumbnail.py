"""Small JPEG pictures of faces, as a gallery stores them."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from mien.errors import BadGallery
from mien.faces.cache import to_bytes, to_unit

SIDE, QUALITY = 128, 85  # about 4 KB a face


def to_thumbnail(face: np.ndarray) -> bytes:
    """JPEG bytes, 128 x 128, of a face float32 [3, S, S] in [-1, 1]."""
    picture = Image.fromarray(to_bytes(face[None])[0])
    if picture.size != (SIDE, SIDE):
        picture = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def from_thumbnail(data: bytes) -> Image.Image:
    """The RGB picture of stored JPEG bytes; BadGallery when they are damaged or none."""
    if not data:
        raise BadGallery("a face came without a thumbnail; import it again with its thumbnail")
    try:
        return Image.open(io.BytesIO(data), formats=["JPEG"]).convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise BadGallery(f"a stored thumbnail is damaged ({error}); add that face again") from error


def faces_of(thumbnails: Sequence[bytes], size: int = SIDE) -> np.ndarray:
    """Faces float32 [N, 3, size, size] in [-1, 1] of stored JPEG bytes; BadGallery if damaged."""
    pictures = [np.asarray(from_thumbnail(data).resize((size, size))) for data in thumbnails]
    return to_unit(np.stack(pictures))

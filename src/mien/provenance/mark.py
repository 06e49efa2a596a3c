"""Write a picture that says it was made by a model, and read what it says.

The mark is IPTC's digital source type (https://cv.iptc.org/newscodes/digitalsourcetype/)
as XMP, "composite with trained algorithmic media" for an edited photo and "trained
algorithmic media" for a sampled face, and a note (the recipe as JSON): a PNG
text chunk, or EXIF UserComment in JPEG. Animations: animation.py.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from mien.checks import check_shape
from mien.errors import BadInput
from mien.files import write_bytes
from mien.provenance import _xmp

TEXT_KEY = "mien"
XMP_KEY = "XML:com.adobe.xmp"  # keyword of the PNG chunk, fixed by the XMP specification, part 3
EXIF_IFD, USER_COMMENT, SOFTWARE = 0x8769, 0x9286, 0x0131
ASCII = b"ASCII\0\0\0"  # character code that EXIF puts before a comment
SEGMENT = 60_000  # bytes of a note that fit one JPEG segment (65,533) with what surrounds it
QUALITY = 95
PNG_SUFFIXES, JPEG_SUFFIXES = (".png",), (".jpg", ".jpeg")
JPEG_SIDE = 65_500  # pixels; the encoder takes no more


def save_picture(
    path: Path, pixels: np.ndarray, note: Mapping[str, Any], generated: bool = False
) -> None:
    """Write `pixels` (uint8 [H, W, 3] RGB, upright) as PNG or JPEG, marked, atomically.

    note: JSON values, normally the recipe of the edit and the models' names.
    generated: nothing of a photo is in it.
    Nothing of the original file's metadata is copied, so that its EXIF
    orientation cannot turn the picture a second time. Raises BadInput for
    another suffix than .png, .jpg or .jpeg, for a JPEG of more than 65500 pixels a
    side, and when the file cannot be written.
    """
    path = Path(path)
    check_suffix(path)
    check_shape(pixels, (None, None, 3), "picture")
    if pixels.dtype != np.uint8:
        raise BadInput(f"picture is {pixels.dtype}, expected uint8 RGB")
    side = max(pixels.shape)
    if side > JPEG_SIDE and path.suffix.lower() in JPEG_SUFFIXES:
        raise BadInput(
            f"{path}: a JPEG has at most {JPEG_SIDE} pixels a side, not {side}; use .png"
        )
    text = json.dumps(dict(note), ensure_ascii=True, sort_keys=True)
    encode = _png if path.suffix.lower() in PNG_SUFFIXES else _jpeg
    xmp = _xmp.packet(text, generated)
    write_bytes(path, encode(Image.fromarray(np.ascontiguousarray(pixels)), text, xmp))


def check_suffix(path: Path) -> None:
    """Raise BadInput unless `save_picture` can write a file of this name."""
    if path.suffix.lower() not in PNG_SUFFIXES + JPEG_SUFFIXES:
        raise BadInput(f"cannot write {path}: pictures are saved as .png, .jpg or .jpeg")


def read_note(path: Path) -> dict[str, Any]:
    """The note of a picture or animation written by mien; BadInput when it carries none."""
    text = _read_text(path)
    try:
        note = json.loads(text)
    except ValueError:
        note = None
    if not isinstance(note, dict):
        raise BadInput(f"{path} carries no note of mien; it was not written by it, or saved again")
    return note


def _read_text(path: Path) -> str:
    try:
        with Path(path).open("rb") as handle:
            head = handle.read(12)
        if head.startswith(b"GIF8") or head[4:8] == b"ftyp":
            return _xmp.note_in(Path(path).read_bytes())
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            return _png_text(image) if image.format == "PNG" else _jpeg_text(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise BadInput(f"cannot read {path}: {error}") from error


def _png(image: Image.Image, text: str, xmp: bytes) -> bytes:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text(TEXT_KEY, text)
    chunks.add_itxt(XMP_KEY, xmp.decode())
    stream = io.BytesIO()
    image.save(stream, "PNG", pnginfo=chunks)
    return stream.getvalue()


def _jpeg(image: Image.Image, text: str, xmp: bytes) -> bytes:
    if len(xmp) > SEGMENT:
        raise BadInput(f"the note has {len(text)} characters, too many for JPEG; save as .png")
    exif = Image.Exif()
    exif[SOFTWARE] = "mien"
    exif.get_ifd(EXIF_IFD)[USER_COMMENT] = ASCII + text.encode("ascii")
    stream = io.BytesIO()
    # Full colour resolution: a pasted face must not shift the colours at its border.
    image.save(stream, "JPEG", quality=QUALITY, subsampling=0, exif=exif, xmp=xmp)
    return stream.getvalue()


def _png_text(image: Image.Image) -> str:
    return str(getattr(image, "text", {}).get(TEXT_KEY, ""))


def _jpeg_text(image: Image.Image) -> str:
    comment = image.getexif().get_ifd(EXIF_IFD).get(USER_COMMENT, b"")
    raw = comment if isinstance(comment, bytes) else str(comment).encode()
    return raw.removeprefix(ASCII).decode("ascii", "replace")

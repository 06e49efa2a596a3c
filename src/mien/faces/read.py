"""Read a photo file into upright 8-bit sRGB pixels, or say in one sentence why not."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from mien.errors import BadInput

MAX_PIXELS = 100_000_000  # 300 MB decoded; a larger file is a mistake or a decompression bomb
MIN_SIDE = 16  # nothing smaller shows a face
# Named one by one: Pillow's whole list holds formats that start other programs (EPS).
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
ORIENTATION = 0x0112  # EXIF tag
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
DAMAGE = (  # what Pillow's decoders raise on damaged files
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def read_photo(path: Path) -> np.ndarray:
    """Pixels of a photo file: uint8 [H, W, 3] RGB, EXIF orientation applied.

    Transparency is laid over white; 16-bit grey is scaled; CMYK, palettes and
    embedded colour profiles are converted to sRGB. Raises BadInput when the
    file is missing, no image, truncated, above 100 megapixels (known from its
    header, before decoding), animated, or smaller than 16 pixels.
    """
    path = Path(path)
    _check_file(path)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")  # what it warns of is refused or read
        with _open(path) as image:
            _check_header(path, image)
            return _decode(path, image)


def _decode(path: Path, image: Image.Image) -> np.ndarray:
    try:
        image.load()
        return np.array(_to_rgb(path, _upright(image)))
    except BadInput:
        raise
    except DAMAGE as error:
        raise BadInput(_damaged(path, error)) from error


def _damaged(path: Path, error: Exception) -> str:
    return f"{path} is damaged or truncated ({error}); fetch or save it again"


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise BadInput(f"{path} is a folder; give the file of one photo")
        if path.stat().st_size == 0:
            raise BadInput(f"{path} is an empty file; fetch or save it again")
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def _open(path: Path) -> Image.Image:
    try:
        return Image.open(path, formats=[name for name in FORMATS if _known(name)])
    except Image.DecompressionBombError as error:
        raise BadInput(_too_large(path)) from error
    except UnidentifiedImageError as error:
        raise BadInput(f"{path} is not an image mien reads; save it as JPEG or PNG") from error
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error
    except DAMAGE as error:
        raise BadInput(_damaged(path, error)) from error


def _known(name: str) -> bool:
    Image.init()
    return name in Image.OPEN


def _check_header(path: Path, image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise BadInput(_too_large(path, f" ({width}x{height})"))
    if min(width, height) < MIN_SIDE:
        raise BadInput(
            f"{path} is only {width}x{height} pixels; give a photo of at least "
            f"{MIN_SIDE} pixels a side"
        )
    # A phone's MPO is a JPEG whose further frames are previews or the other eye.
    if image.format != "MPO" and _frames(path, image) > 1:
        raise BadInput(f"{path} holds several frames; save one of them as JPEG or PNG")


def _too_large(path: Path, size: str = "") -> str:
    limit = MAX_PIXELS // 1_000_000
    return f"{path} is too large{size}; shrink it below {limit} megapixels"


def _frames(path: Path, image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except DAMAGE as error:
        raise BadInput(_damaged(path, error)) from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except DAMAGE:  # the pixels are whole even when their EXIF block is not
        orientation = 1
    turn = UPRIGHT.get(orientation)
    if turn is None:
        return image
    turned = image.transpose(turn)
    turned.info = dict(image.info)  # transpose drops the colour profile and palette transparency
    return turned


def _to_rgb(path: Path, image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise BadInput(f"{path} holds floating-point pixels; save it as 8-bit JPEG or PNG")
    if image.mode.startswith("I"):
        return _from_integers(image).convert("RGB")
    if "transparency" in image.info or image.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        image = _over_white(image)
    return _to_srgb(image)


def _from_integers(image: Image.Image) -> Image.Image:
    # 65535 / 257 = 255; Pillow's own conversion clips at 255 instead.
    levels = np.asarray(image).astype(np.float64) / 257
    return Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))


def _over_white(image: Image.Image) -> Image.Image:
    colour = image.convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", colour.size, "white"), colour).convert("RGB")
    if image.mode.startswith(("RGB", "P")):
        flat.info = dict(image.info)
    return flat


def _to_srgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if image.mode == "P":
        image = image.convert("RGB")
    if profile and image.mode in ("RGB", "CMYK", "L"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" not in ImageCms.getProfileDescription(source):
                converted = ImageCms.profileToProfile(
                    image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
                )
                return converted or image
        except (ImageCms.PyCMSError, OSError):  # a broken or mismatched profile says nothing
            pass
    return image.convert("RGB")

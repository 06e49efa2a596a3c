"""Photos of every kind come out as upright RGB, and bad files as one sentence."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from mien.errors import BadInput
from mien.faces.read import MIN_SIDE, read_photo


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG file from its specification: colour 0 grey, 2 RGB; `rows` with filter bytes."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def sample(height: int = 24, width: int = 32) -> np.ndarray:
    """Smooth and without symmetry, so that a wrong turn or channel order shows."""
    y, x = np.mgrid[:height, :width]
    channels = (x * 255 / (width - 1), y * 255 / (height - 1), (x + 2 * y) % 200)
    return np.stack(channels, axis=2).astype(np.uint8)


def refused(path: Path, *words: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_photo(path)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm"])
def test_lossless_formats_come_back_exactly(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(sample()).save(path)
    pixels = read_photo(path)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, sample())


TURNS = {  # EXIF 2.3, tag 0x0112: how the stored picture is made from the upright one, inverted
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", TURNS)
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(TURNS[orientation](sample()))
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_photo(tmp_path / "a.png"), sample())


def test_broken_exif_does_not_hide_the_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(sample()).save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert read_photo(path).shape == (24, 32, 3)


def test_cmyk_jpeg_keeps_its_colours(tmp_path: Path) -> None:
    ink = np.zeros((32, 32, 4), np.uint8)
    ink[:, :16, 1:3] = 255  # magenta and yellow: red
    ink[:, 16:, 0] = 255  # cyan
    Image.fromarray(ink, "CMYK").save(tmp_path / "a.jpg", quality=100)
    pixels = read_photo(tmp_path / "a.jpg").astype(int)
    assert np.abs(pixels[:, :12] - (255, 0, 0)).max() <= 4
    assert np.abs(pixels[:, 20:] - (0, 255, 255)).max() <= 4


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    levels = np.linspace(0, 65535, 32 * 32).astype(np.uint16).reshape(32, 32)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    (tmp_path / "a.png").write_bytes(png(32, 32, 16, 0, rows))
    pixels = read_photo(tmp_path / "a.png")
    assert np.abs(pixels - (levels / 65535 * 255)[:, :, None]).max() <= 0.5 + 1e-9


def test_16_bit_colour_is_scaled(tmp_path: Path) -> None:
    levels = sample().astype(np.uint16) * 257
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    (tmp_path / "a.png").write_bytes(png(32, 24, 16, 2, rows))
    assert np.array_equal(read_photo(tmp_path / "a.png"), sample())


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    alpha = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (24, 1))
    Image.fromarray(np.dstack([sample(), alpha])).save(tmp_path / "a.png")
    share = alpha[:, :, None] / 255
    wanted = sample() * share + 255 * (1 - share)
    assert np.abs(read_photo(tmp_path / "a.png") - wanted).max() <= 1


def test_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    index = np.zeros((20, 20), np.uint8)
    index[:, 10:] = 1
    image = Image.fromarray(index)
    image.putpalette([10, 20, 30, 200, 100, 50] + [0] * 762)
    image.save(tmp_path / "a.png", transparency=1)
    pixels = read_photo(tmp_path / "a.png")
    assert (pixels[:, :10] == (10, 20, 30)).all()
    assert (pixels[:, 10:] == 255).all()


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_grey_becomes_three_equal_channels(tmp_path: Path, mode: str) -> None:
    grey = Image.fromarray(sample()[:, :, 0]).convert(mode)
    grey.save(tmp_path / "a.png")
    pixels = read_photo(tmp_path / "a.png")
    assert np.array_equal(pixels[:, :, 1], np.asarray(grey.convert("L")))
    assert (pixels == pixels[:, :, :1]).all()


def test_still_gif_is_a_photo(tmp_path: Path) -> None:
    Image.fromarray(sample()[:, :, 0]).save(tmp_path / "a.gif")
    assert np.array_equal(read_photo(tmp_path / "a.gif")[:, :, 0], sample()[:, :, 0])


def test_phone_pictures_with_a_preview_frame_are_read(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (32, 32), "red"), Image.new("RGB", (32, 32), "blue")
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    assert np.abs(read_photo(tmp_path / "a.jpg")[16, 16].astype(int) - (255, 0, 0)).max() <= 4


def test_colour_profile_is_converted(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"tmp!").replace(b"gXYZ", b"rXYZ").replace(b"tmp!", b"gXYZ")
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    swapped = swapped.replace(b"rTRC", b"tmp!").replace(b"gTRC", b"rTRC").replace(b"tmp!", b"gTRC")
    red = Image.new("RGB", (20, 20), (255, 0, 0))
    red.save(tmp_path / "same.png", icc_profile=profile)
    red.save(tmp_path / "swapped.png", icc_profile=swapped)
    assert (read_photo(tmp_path / "same.png") == (255, 0, 0)).all()
    assert np.abs(read_photo(tmp_path / "swapped.png").astype(int) - (0, 255, 0)).max() <= 2


def test_broken_profile_is_ignored(tmp_path: Path) -> None:
    Image.fromarray(sample()).save(tmp_path / "a.png", icc_profile=b"not a profile")
    assert np.array_equal(read_photo(tmp_path / "a.png"), sample())


def test_text_named_jpg(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("not a picture, only words " * 20)
    refused(tmp_path / "a.jpg", "not an image")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_truncated_file(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()))
    whole = stream.getvalue()
    for share in (0.3, 0.6, 0.9):
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(whole[: int(len(whole) * share)])
        refused(path)


def test_damaged_bytes_never_escape_as_another_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "a.img"
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"):
        stream = io.BytesIO()
        Image.fromarray(sample(40, 40)).save(stream, kind)
        for _ in range(40):
            data = bytearray(stream.getvalue())
            for place in rng.integers(0, len(data), 6):
                data[place] = rng.integers(256)
            path.write_bytes(data)
            with contextlib.suppress(BadInput):
                assert read_photo(path).ndim == 3


@pytest.mark.parametrize("side", [30_000, 11_000])
def test_decompression_bomb_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    # The pixel data is missing: decoding would fail with another message.
    (tmp_path / "bomb.png").write_bytes(png(side, side, 8, 2, b""))
    refused(tmp_path / "bomb.png", "too large", "100 megapixels")


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animation(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "green", "blue")]
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    refused(path, "several frames", "save one")


def test_folder_missing_and_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    refused(tmp_path / "empty.jpg", "empty")
    refused(tmp_path / "missing.jpg", "No such file")
    refused(tmp_path, "folder")


@pytest.mark.parametrize("size", [(1, 1), (MIN_SIDE - 1, 400)])
def test_too_small(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size).save(tmp_path / "a.png")
    refused(tmp_path / "a.png", f"{size[0]}x{size[1]}")


def test_floating_point_pixels(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 20), np.float32)).save(tmp_path / "a.tif")
    refused(tmp_path / "a.tif", "8-bit")

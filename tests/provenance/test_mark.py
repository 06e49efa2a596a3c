"""Every picture written says that it was edited, and how."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageOps

from mien.errors import BadInput
from mien.faces.read import read_photo
from mien.provenance import mark

NOTE: dict[str, Any] = {
    "mien": 1,
    "space": "vae-128@1a2b3c4d",
    "set": {"Smiling": 1.0, "Eyeglasses": 0.0},
    "hold": ["Male"],
    "who": 'Zo\u00eb "<&>" \u2603',
}
SUFFIXES = ["png", "jpg", "jpeg", "PNG", "JPG"]


def picture(height: int = 40, width: int = 30) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 8, y * 6, 255 - x * 4], axis=2).astype(np.uint8)


def properties(xmp: bytes | str) -> dict[str, str]:
    """Properties of an XMP packet, read with a plain XML parser."""
    text = xmp.decode() if isinstance(xmp, bytes) else xmp
    root = ElementTree.fromstring(text[text.index("<x:xmpmeta") : text.rindex("<?xpacket")])
    found = root.find(".//{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    assert found is not None
    return {key.split("}")[-1]: value for key, value in found.attrib.items()}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_note_and_source_type_are_read_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    mark.save_picture(path, picture(), NOTE)
    assert mark.read_note(path) == NOTE
    with Image.open(path) as image:
        xmp = image.info["xmp"]
    assert properties(xmp)["DigitalSourceType"] == (
        "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
    )
    assert '"hold": ["Male"]' in properties(xmp)["note"]


def test_a_sampled_face_is_no_composite(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        mark.save_picture(tmp_path / name, picture(), NOTE, generated=True)
        with Image.open(tmp_path / name) as image:
            source = properties(image.info["xmp"])["DigitalSourceType"]
        assert source.endswith("/trainedAlgorithmicMedia")


def test_png_pixels_are_exact_and_jpeg_close(tmp_path: Path) -> None:
    for name, most in (("a.png", 0), ("a.jpg", 6)):
        mark.save_picture(tmp_path / name, picture(), NOTE)
        difference = np.abs(read_photo(tmp_path / name).astype(int) - picture())
        assert difference.max() <= most


def test_text_chunk_is_plain_to_other_programs(tmp_path: Path) -> None:
    mark.save_picture(tmp_path / "a.png", picture(), NOTE)
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        assert "Smiling" in image.info["mien"]
    mark.save_picture(tmp_path / "a.jpg", picture(), NOTE)
    with Image.open(tmp_path / "a.jpg") as image:
        comment = image.getexif().get_ifd(0x8769)[0x9286]
        assert comment.startswith(b"ASCII\0\0\0{")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_orientation_of_the_photo_is_not_applied_twice(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(40, 30)).save(tmp_path / "phone.png", exif=exif)
    upright = read_photo(tmp_path / "phone.png")
    assert upright.shape == (30, 40, 3)
    out = tmp_path / f"out.{suffix}"
    mark.save_picture(out, upright, NOTE)
    with Image.open(out) as image:
        assert ImageOps.exif_transpose(image).size == image.size == (40, 30)
    assert np.abs(read_photo(out).astype(int) - upright).max() <= 6


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a", "a.tiff", ".png"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=r"\.png, \.jpg or \.jpeg"):
        mark.save_picture(tmp_path / name, picture(), NOTE)
    assert list(tmp_path.iterdir()) == []


def test_a_jpeg_has_an_end(tmp_path: Path) -> None:
    wide = np.zeros((1, 65_501, 3), np.uint8)
    with pytest.raises(BadInput, match=r"wide.jpg: a JPEG has at most 65500 .*; use .png"):
        mark.save_picture(tmp_path / "wide.jpg", wide, {})
    assert list(tmp_path.iterdir()) == []
    mark.save_picture(tmp_path / "wide.png", wide, {})


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot write"):
        mark.save_picture(tmp_path / "missing" / "a.png", picture(), NOTE)


def test_failure_leaves_the_old_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    mark.save_picture(path, picture(), NOTE)
    old = path.read_bytes()
    with pytest.raises(BadInput, match=r"save as \.png"):
        mark.save_picture(path, picture(), {"long": "x" * 70_000})
    with pytest.raises(BadInput, match="uint8"):
        mark.save_picture(path, picture().astype(float), NOTE)
    assert path.read_bytes() == old
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.jpg"]
    mark.save_picture(tmp_path / "a.png", picture(), {"long": "x" * 70_000})
    assert mark.read_note(tmp_path / "a.png") == {"long": "x" * 70_000}


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_pictures_without_a_note(tmp_path: Path, kind: str) -> None:
    stream = io.BytesIO()
    Image.fromarray(picture()).save(stream, kind)
    path = tmp_path / "plain"
    path.write_bytes(stream.getvalue())
    with pytest.raises(BadInput, match="carries no note"):
        mark.read_note(path)


def test_files_that_are_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("words")
    for name in ("a.png", "missing.png"):
        with pytest.raises(BadInput, match="cannot read"):
            mark.read_note(tmp_path / name)

"""A folder of photos and its CSV, and one sentence a mistake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import BadInput, MienError
from mien.faces.celeba import NAMES
from mien.faces.folder import read_folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name in ("b.jpg", "a.PNG", "inner/c.webp", "inner/deep/d.jpeg"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20)).save(path)
    for name in (".hidden.jpg", "notes.txt", "inner/list.csv", ".cache/e.jpg", "jpg"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def csv_of(root: Path, text: str, encoding: str = "utf-8") -> Path:
    path = root.parent / "attributes.csv"
    path.write_text(text, encoding=encoding)
    return path


FILES = ["a.PNG", "b.jpg", "inner/c.webp", "inner/deep/d.jpeg"]


def test_photos_are_sorted_and_the_rest_is_skipped(root: Path) -> None:
    paths, attributes = read_folder(root)
    assert [path.relative_to(root).as_posix() for path in paths] == FILES
    assert attributes.names == NAMES
    assert attributes.table.shape == (4, 40)
    assert not attributes.table.any()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv_fills_what_it_names(root: Path, encoding: str) -> None:
    text = "file,Smiling,Male\nb.jpg,1,-1\n\n./inner/c.webp, 0,\na.PNG,,1\n"
    _, attributes = read_folder(root, csv_of(root, text, encoding))
    assert attributes.column("Smiling").tolist() == [0, 1, 0, 0]
    assert attributes.column("Male").tolist() == [1, -1, 0, 0]
    assert np.abs(attributes.table).sum() == 3


def test_own_vocabulary(root: Path) -> None:
    path = csv_of(root, 'file,"Hat, red"\r\nb.jpg,-1\r\n')
    _, attributes = read_folder(root, path, names=["Tall", "Hat, red"])
    assert attributes.names == ("Tall", "Hat, red")
    assert attributes.table.tolist() == [[0, 0], [0, -1], [0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,Smilling\n", ["attributes.csv:1", "did you mean Smiling"]),
        ("file,Smiling,Smiling\n", ["attributes.csv:1", "twice"]),
        ("file;Smiling\n", ["attributes.csv:1", "commas"]),
        ("", ["attributes.csv", "empty"]),
        ("file,Male\nb.jpg,yes\n", ["attributes.csv:2", "Male is 'yes'", "1 (present)"]),
        ("file,Male\nb.jpg,2\n", ["attributes.csv:2", "'2'"]),
        ("file,Male\na.PNG,1\nbb.jpg,1\n", ["attributes.csv:3", "'bb.jpg'", "b.jpg"]),
        ("file,Male\na.PNG,1\nb.jpg,1\na.PNG,1\n", ["attributes.csv:4", "line 2"]),
        ("file,Male\na.PNG\n", ["attributes.csv:2", "1 cells, expected 2"]),
        ("file,Male\na.PNG,1,1\n", ["attributes.csv:2", "3 cells, expected 2"]),
    ],
)
def test_csv_mistakes_name_file_and_line(root: Path, text: str, words: list[str]) -> None:
    with pytest.raises(MienError) as caught:
        read_folder(root, csv_of(root, text))
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_csv_that_cannot_be_read(root: Path) -> None:
    with pytest.raises(BadInput, match="cannot read"):
        read_folder(root, root / "missing.csv")
    binary = root.parent / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00\x01" * 20)
    with pytest.raises(BadInput, match=r"binary\.csv is not a CSV"):
        read_folder(root, binary)


def test_empty_missing_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no photos"):
        read_folder(tmp_path)
    with pytest.raises(BadInput, match="does not exist"):
        read_folder(tmp_path / "missing")
    (tmp_path / "file.jpg").touch()
    with pytest.raises(BadInput, match="is a file"):
        read_folder(tmp_path / "file.jpg")

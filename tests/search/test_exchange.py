from __future__ import annotations

import json
import os
import zipfile

import numpy as np
import pytest

from mien.errors import BadInput, SpaceMismatch
from mien.search.exchange import export_gallery, import_gallery
from mien.search.forget import forget
from mien.search.gallery import Gallery
from tests.search.toys import MARK, SPACE, entries, gallery, picture

ROWS = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)
NAMES = ["a", "photos/b.jpg", "Zoë\u2028", 'quo"ted', "\U0001f600"]
TABLE = np.array([[1, -1], [0, 0], [0, 1], [-1, 0], [1, 1]], np.int8)


@pytest.fixture(params=[False, True], ids=["float32", "float16"])
def stored(tmp_path, request):
    made = Gallery.create(tmp_path / "g", MARK, SPACE, (3, 4), half=request.param)
    made.add(entries(NAMES, ROWS, TABLE))
    return made


def faces_of(opened: Gallery) -> list[tuple[object, ...]]:
    known = [
        {
            name: int(value)
            for name, value in zip(opened.attributes.names, row, strict=True)
            if value
        }
        for row in opened.attributes.table
    ]
    latents = [row.tobytes() for row in opened.latent.values]
    pictures = opened.thumbnails(opened.ids)
    return list(zip(opened.ids, opened.paths, latents, known, pictures, strict=True))


@pytest.mark.parametrize("packed", [True, False])
def test_an_import_holds_what_was_exported(stored, tmp_path, packed):
    source = tmp_path / "people.zip"
    export_gallery(stored, source)
    if not packed:
        with zipfile.ZipFile(source) as archive:
            archive.extractall(tmp_path / "people")
        source = tmp_path / "people"
    done = import_gallery(tmp_path / "copy", source)
    copy = Gallery.open(tmp_path / "copy")
    assert (done.added, done.skipped) == (5, 0)
    assert (copy.mark, copy.space, copy.shape, copy.dtype) == (MARK, SPACE, (3, 4), stored.dtype)
    assert faces_of(copy) == faces_of(stored)


def test_what_is_exported_is_read_without_mien(stored, tmp_path):
    export_gallery(stored, tmp_path / "people.zip")
    with np.load(tmp_path / "people.zip") as arrays:
        latents = arrays["latents"]
    np.testing.assert_array_equal(latents, ROWS.astype(stored.dtype))
    with zipfile.ZipFile(tmp_path / "people.zip") as archive:
        lines = archive.read("faces.jsonl").decode().splitlines(keepends=False)
        assert json.loads(archive.read("gallery.json"))["count"] == 5
        first = json.loads(lines[0])
        assert first["attributes"] == {"A0": 1, "A1": -1}
        assert archive.read(first["thumbnail"]) == picture("a")


def test_thumbnails_can_stay_behind(stored, tmp_path):
    export_gallery(stored, tmp_path / "people.zip", thumbnails=False)
    import_gallery(tmp_path / "copy", tmp_path / "people.zip")
    copy = Gallery.open(tmp_path / "copy")
    assert copy.thumbnails(copy.ids) == [b""] * 5
    assert b"picture of" not in (tmp_path / "people.zip").read_bytes()
    assert [face[:4] for face in faces_of(copy)] == [face[:4] for face in faces_of(stored)]


def test_an_interrupted_import_goes_on_and_replaces_when_told(stored, tmp_path, monkeypatch):
    monkeypatch.setattr("mien.search.exchange.ROWS", 2)
    export_gallery(stored, tmp_path / "people.zip")

    def stop(step, steps, text):
        assert steps == 3
        if step == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_gallery(tmp_path / "copy", tmp_path / "people.zip", progress=stop)
    assert len(Gallery.open(tmp_path / "copy")) == 2
    done = import_gallery(tmp_path / "copy", tmp_path / "people.zip")
    assert (done.added, done.skipped) == (3, 2)
    copy = Gallery.open(tmp_path / "copy")
    copy.add(entries(["a"], 0 * ROWS[:1]), replace=True)
    assert import_gallery(tmp_path / "copy", tmp_path / "people.zip").added == 0
    assert import_gallery(tmp_path / "copy", tmp_path / "people.zip", replace=True).added == 5
    assert faces_of(Gallery.open(tmp_path / "copy")) == faces_of(stored)


def test_names_that_are_not_utf_8_come_back_whole(tmp_path):
    odd = os.fsdecode(b"caf\xe9.jpg")
    made = gallery(tmp_path / "g", ROWS[:2, 0], [odd, "Zo\u00eb"])
    export_gallery(made, tmp_path / "people.zip")
    with zipfile.ZipFile(tmp_path / "people.zip") as archive:
        assert "Zo\u00eb" in archive.read("faces.jsonl").decode()  # only what must be is escaped
    import_gallery(tmp_path / "copy", tmp_path / "people.zip")
    copy = Gallery.open(tmp_path / "copy")
    assert faces_of(copy) == faces_of(made)
    assert forget(copy, [odd]).proven


def test_an_empty_gallery_is_exported_too(tmp_path):
    export_gallery(gallery(tmp_path / "g", np.empty((0, 4), np.float32)), tmp_path / "none.zip")
    assert import_gallery(tmp_path / "copy", tmp_path / "none.zip").added == 0
    assert Gallery.open(tmp_path / "copy").shape == (4,)


def test_an_archive_is_opened_no_more_often_for_more_faces(stored, tmp_path, monkeypatch):
    opened = []

    class Counted(zipfile.ZipFile):
        def __init__(self, file, *arguments, **more):
            opened.append(file)
            super().__init__(file, *arguments, **more)

    export_gallery(stored, tmp_path / "five.zip")
    stored.remove(NAMES[1:])
    export_gallery(stored, tmp_path / "one.zip")
    monkeypatch.setattr(zipfile, "ZipFile", Counted)
    for name in ("one", "five"):
        import_gallery(tmp_path / name, tmp_path / f"{name}.zip")
    counts = [opened.count(tmp_path / f"{name}.zip") for name in ("one", "five")]
    assert 0 < counts[1] == counts[0]


def test_a_gallery_of_another_space_takes_nothing(stored, tmp_path):
    export_gallery(stored, tmp_path / "people.zip")
    other = Gallery.create(tmp_path / "other", "other@2", SPACE, (3, 4))
    with pytest.raises(SpaceMismatch, match=r"holds z of other@2"):
        import_gallery(other.folder, tmp_path / "people.zip")
    assert len(Gallery.open(other.folder)) == 0


def unpacked(stored, tmp_path):
    export_gallery(stored, tmp_path / "people.zip")
    with zipfile.ZipFile(tmp_path / "people.zip") as archive:
        archive.extractall(tmp_path / "people")
    return tmp_path / "people"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("gallery.json", '"format": 1', '"format": 2'),
        ("gallery.json", '"count": 5', '"count": 4'),
        ("faces.jsonl", '"A0": 1', '"A0": 7'),
        ("faces.jsonl", '"id": "a"', '"id": 3'),
        ("faces.jsonl", '"id": "a", ', ""),
        ("faces.jsonl", "thumbnails/000000.jpg", "../../secret.jpg"),
        ("faces.jsonl", "thumbnails/000000.jpg", "thumbnails/000009.jpg"),
        ("faces.jsonl", "thumbnails/000004.jpg", "latents.npy"),
        ("faces.jsonl", '"id": "a"', '"id": ""'),
        ("faces.jsonl", '"id": "a"', '"id": "photos/b.jpg"'),
    ],
)
def test_a_damaged_export_is_refused_and_leaves_no_gallery(
    stored, tmp_path, monkeypatch, name, old, new
):
    monkeypatch.setattr("mien.search.exchange.ROWS", 2)
    folder = unpacked(stored, tmp_path)
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(BadInput, match=r"people is no exported gallery"):
        import_gallery(tmp_path / "copy", folder)
    assert not (tmp_path / "copy").exists()


def test_a_file_that_cannot_be_unpacked_is_refused_before_faces_are_added(
    stored, tmp_path, monkeypatch
):
    monkeypatch.setattr("mien.search.exchange.ROWS", 2)
    export_gallery(stored, tmp_path / "people.zip")
    whole = (tmp_path / "people.zip").read_bytes()
    last = stored.latent.values[4].astype(stored.dtype).tobytes()
    for name, held in (("thumbnails/000004.jpg", picture(NAMES[4])), ("latents.npy", last)):
        assert whole.count(held) == 1
        torn = whole.replace(held, held[:-1] + bytes([held[-1] ^ 1]))
        (tmp_path / "people.zip").write_bytes(torn)
        with pytest.raises(BadInput, match=f"people.zip is no exported.*{name} is damaged"):
            import_gallery(tmp_path / "copy", tmp_path / "people.zip")
        assert not (tmp_path / "copy").exists()


def test_what_another_program_packed_and_was_torn_is_refused(stored, tmp_path):
    source = unpacked(stored, tmp_path)
    with zipfile.ZipFile(tmp_path / "packed.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(source))
        first = archive.getinfo("thumbnails/000000.jpg")
    at = first.header_offset + 30 + len(first.filename)  # where its packed bytes begin
    torn = bytearray((tmp_path / "packed.zip").read_bytes())
    torn[at : at + first.compress_size] = b"\xff" * first.compress_size
    (tmp_path / "packed.zip").write_bytes(torn)
    with pytest.raises(BadInput, match=r"packed.zip is no exported gallery"):
        import_gallery(tmp_path / "copy", tmp_path / "packed.zip")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_export_with_a_latent_that_is_no_number_is_refused(stored, tmp_path, bad):
    folder = unpacked(stored, tmp_path)
    latents = np.load(folder / "latents.npy")
    latents[3, 1, 2] = bad
    np.save(folder / "latents.npy", latents)
    with pytest.raises(BadInput, match=r"people is no exported.*latent of 'quo\"ted' holds NaN"):
        import_gallery(tmp_path / "copy", folder)
    assert not (tmp_path / "copy").exists()


def test_what_is_no_export_is_refused(stored, tmp_path):
    with pytest.raises(BadInput, match=r"none.zip does not exist"):
        import_gallery(tmp_path / "copy", tmp_path / "none.zip")
    (tmp_path / "text.zip").write_text("hello")
    with pytest.raises(BadInput, match=r"text.zip is no exported gallery"):
        import_gallery(tmp_path / "copy", tmp_path / "text.zip")
    with pytest.raises(BadInput, match=r"give a file such as people.zip"):
        export_gallery(stored, tmp_path / "people.npz")

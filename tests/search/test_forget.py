from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mien.errors import BadInput, UnknownName
from mien.search._traces import Trace, search_files
from mien.search.codes import CodeOptions
from mien.search.forget import forget, same_person
from mien.search.gallery import Gallery
from mien.search.thumbnail import to_thumbnail
from tests.search.crash_writer import CODED, FORGOTTEN, coded_gallery
from tests.search.toys import basis, entries, gallery, picture

ROOT = Path(__file__).parents[2]  # from where tests.* are found
ROWS = np.random.default_rng(0).normal(size=(40, 3, 8)).astype(np.float32)
NAMES = [f"photo-{row}" for row in range(40)]


@pytest.fixture
def stored(tmp_path):
    made = gallery(tmp_path / "g", ROWS, NAMES)
    made.compress(basis(0, 24, 4), CodeOptions(size=120, lead=4, block=16))
    return made


def on_disk(folder: Path) -> bytes:
    return b"\0".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def parts(row: int) -> list[bytes]:
    """Everything of a face that the gallery's files spell out, made without our readers."""
    name = NAMES[row]
    return [
        f'"{name}"'.encode(), f'/photos/{name}"'.encode(), picture(name) + b"p",
        *(layer.tobytes() for layer in ROWS[row]),
    ]  # fmt: skip


def test_nothing_of_a_forgotten_face_is_on_the_disk_and_the_proof_says_so(stored):
    codes = next(stored.folder.glob("codes-*-shard-*"))
    with np.load(codes) as arrays:
        code = [arrays["rest"][7].tobytes(), arrays["block_0"][7].tobytes()]
        kept_code = arrays["rest"][6].tobytes()
    before = on_disk(stored.folder)
    assert all(part in before for part in [*parts(7), *code])
    done = forget(stored, ["photo-7", "photo-7"])
    after = on_disk(stored.folder)
    assert not any(part in after for part in [*parts(7), *code])
    assert all(part in after for part in [*parts(6), kept_code])
    assert done.proven
    assert (done.ids, done.kept) == (("photo-7",), 39)
    files = [path for path in stored.folder.iterdir() if path.is_file()]
    assert done.searched.files == len(files) == 5  # manifest, lock, shard, plan, codes
    assert done.searched.bytes == sum(path.stat().st_size for path in files)


def test_the_plan_of_the_codes_is_as_if_the_face_had_never_been_there(stored, tmp_path):
    without = gallery(tmp_path / "w", np.delete(ROWS, 7, axis=0), NAMES[:7] + NAMES[8:])
    without.compress(basis(0, 24, 4), CodeOptions(size=120, lead=4, block=16))
    forget(stored, ["photo-7"])
    plans = [next(made.folder.glob("codes-????????????.npz")) for made in (stored, without)]
    assert plans[0].read_bytes() == plans[1].read_bytes()
    assert len(list(stored.folder.glob("codes-*-shard-*"))) == 1  # the others' codes are back


def test_the_last_faces_take_the_codes_with_them(stored):
    assert forget(stored, NAMES).proven
    assert {path.name for path in stored.folder.iterdir()} == {"manifest.json", ".lock"}


def test_an_unknown_face_forgets_nothing(stored):
    with pytest.raises(UnknownName, match="did you mean photo-7"):
        forget(stored, ["photo-6", "photo-7x"])
    assert len(Gallery.open(stored.folder)) == 40


def left_by(stored) -> set[tuple[str, str]]:
    return {(left.what, left.file) for left in forget(stored, ["photo-7"]).searched.left}


def test_a_copy_in_the_folder_is_found_in_whatever_form(stored):
    shard = next(stored.folder.glob("shard-*"))
    (stored.folder / "old").mkdir()
    shutil.copy(shard, stored.folder / "old" / "backup.npz")
    (stored.folder / "notes.txt").write_text("first\tphoto-7\tsmiles; photo-77 does not")
    np.save(stored.folder / "half.npy", ROWS[7, 1].astype(np.float16))
    np.save(stored.folder / "double.npy", ROWS[7, 2].astype(np.float64))
    np.savez_compressed(stored.folder / "packed.npz", faces=ROWS[5:9])
    assert left_by(stored) == {
        *((what, "old/backup.npz") for what in ("id", "path", "thumbnail", "latent")),
        ("id", "notes.txt"), ("latent", "half.npy"), ("latent", "double.npy"),
        ("latent", "packed.npz:faces.npy"),
    }  # fmt: skip


def test_names_inside_longer_names_and_other_faces_are_no_traces(stored):
    (stored.folder / "notes.txt").write_text("photo-77 and other/photo-7 and photo-7.png")
    (stored.folder / "faces.jsonl").write_text('{"id": "photo-70"}')
    assert left_by(stored) == set()


@pytest.mark.parametrize("block", [5, 9, 16, 1 << 20])
def test_names_are_told_from_longer_ones_wherever_a_file_is_cut(tmp_path, monkeypatch, block):
    monkeypatch.setattr("mien.search._traces.BLOCK", block)
    texts = {
        "photo-7": True, "photo-7.": True, "seen: photo-7, twice": True, "(photo-7)": True,
        "photo-77": False, "photo-7.png": False, "a/photo-7": False, "my.photo-7": False,
        "photo-7/a": False, "photo-77 and photo-7": True,
    }  # fmt: skip
    for number, text in enumerate(texts):
        for pad in range(12):
            (tmp_path / f"{number}-{pad}").write_text(" " * pad + text)
    found = search_files([tmp_path], [Trace("f", "id", b"photo-7", text=True)]).left
    wanted = [number for number, present in enumerate(texts.values()) if present]
    assert {left.file for left in found} == {f"{n}-{pad}" for n in wanted for pad in range(12)}


def test_what_cannot_be_searched_is_said_before_anything_is_gone(stored):
    with zipfile.ZipFile(stored.folder / "mine.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner", bytes(1000))
    data = bytearray((stored.folder / "mine.zip").read_bytes())
    data[36:40] = b"\xff" * 4  # inside the packed bytes
    (stored.folder / "mine.zip").write_bytes(data)
    with pytest.raises(BadInput, match=r"cannot search .*mine.zip .* take it out"):
        forget(stored, ["photo-7"])
    assert "photo-7" in Gallery.open(stored.folder)


def test_another_face_made_of_the_same_photo_is_named(stored):
    twin = entries(["twin"], ROWS[7:8])
    stored.add(type(twin)(("twin",), ("/photos/photo-7",), twin.latent, twin.attributes, (b"x",)))
    shard = f"shard-{stored._manifest.next:06d}.npz"
    assert left_by(stored) == {("path", shard), ("latent", shard)}


def test_the_search_finds_what_a_plain_search_finds(tmp_path, monkeypatch):
    random = np.random.default_rng(1)
    monkeypatch.setattr("mien.search._traces.BLOCK", 1000)  # traces lie across its borders
    data = random.integers(0, 4, 50_000, np.uint8).tobytes()
    (tmp_path / "data").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner", data)
    lengths = random.integers(1, 12, 300)
    sought = [random.integers(0, 4, length, np.uint8).tobytes() for length in lengths]
    sought += [data[start : start + 700] for start in range(900, 49_000, 950)]
    traces = [Trace(str(number), "code", part) for number, part in enumerate(sought)]
    found = search_files([tmp_path], traces).left
    for place in ("data", "data.zip:inner"):
        here = {left.face for left in found if left.file == place}
        assert here == {str(number) for number, part in enumerate(sought) if part in data}


def test_killed_at_any_file_operation_all_are_there_or_none(tmp_path):
    command = [sys.executable, "-m", "tests.search.crash_writer", "forgets", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    deaths = [tuple(map(int, line.split())) for line in run.stdout.splitlines()]
    assert len(deaths) > 15
    before, kept = set(CODED), set(CODED) - set(FORGOTTEN)
    seen = set()
    for point, acknowledged in deaths:
        opened = Gallery.open(tmp_path / str(point))
        assert set(opened.ids) in ([kept] if acknowledged else [before, kept])
        seen.add(len(opened))
        bounds = opened.bounds(basis(0, 6, 2))
        assert bounds is not None
        assert len(bounds.codes) == len(opened)
        opened.add(entries(["new"], np.ones((1, 6), np.float32)))  # sweeps what was left over
        present = {name: picture(name) in on_disk(opened.folder) for name in CODED}
        assert present == {name: name in opened for name in CODED}
    assert seen == {len(before), len(kept)}


def test_the_crash_test_has_codes_to_lose(tmp_path):
    assert len(list(coded_gallery(tmp_path / "g").folder.glob("codes-*"))) == 2


def test_the_same_person_is_found_among_others(tmp_path, astronaut):
    from mien.faces.portrait import FaceOptions, open_portrait

    face = open_portrait(astronaut, 128, FaceOptions(frame="celeba")).face.pixels
    dimmed = np.clip(face * 0.8 - 0.1, -1, 1).astype(np.float32)
    noise = np.random.default_rng(0).uniform(-1, 1, face.shape).astype(np.float32)
    made = gallery(tmp_path / "g", np.empty((0, 4), np.float32))
    fresh = entries(["dimmed", "noise", "same"], np.eye(3, 4, dtype=np.float32))
    pictures = tuple(to_thumbnail(each) for each in (dimmed, noise, face))
    made.add(type(fresh)(fresh.ids, fresh.paths, fresh.latent, fresh.attributes, pictures))
    found = same_person(made, to_thumbnail(face))
    assert list(found) == ["same", "dimmed"]
    assert found["same"] == pytest.approx(1, abs=1e-5)
    assert list(same_person(made, to_thumbnail(face), 0.9999)) == ["same"]

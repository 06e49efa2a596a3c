from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.checkpoint import assets
from mien.search.gallery import Gallery
from tests.cli.conftest import FACES, Mien

EMBEDDED = assets()  # before the toys take its place


def _photos(folder: Path, count: int) -> None:
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        pixels = random.integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")


def _info(mien: Mien, folder: object) -> dict[str, object]:
    document: dict[str, object] = json.loads(mien("gallery", "info", folder, "--json").stdout)
    return document


def test_broken_files_are_listed_and_stop_nothing(mien: Mien) -> None:
    _photos(Path("photos"), 100)
    broken = [Path(f"photos/{number:03d}.png") for number in (3, 30, 50, 98, 99)]
    for path in broken:
        path.write_bytes(path.read_bytes()[:100])
    result = mien("gallery", "build", "gallery", "photos", "--aligned")
    assert result.exit_code == 0, result.output
    sentences = result.stderr.strip().splitlines()
    assert len(sentences) == 5
    for path, sentence in zip(broken, sentences, strict=True):
        assert str(path) in sentence
    assert "95 faces added, 5 could not be used" in result.stdout
    assert _info(mien, "gallery")["count"] == 95


def test_build_goes_on_where_it_stopped(mien: Mien) -> None:
    _photos(Path("photos"), 5)
    moved = Path("photos/004.png").rename("later.png")
    mien("gallery", "build", "gallery", "photos", "--aligned")
    moved.rename("photos/004.png")
    result = mien("gallery", "build", "gallery", "photos", "--aligned")
    assert "1 faces added, 4 were there already" in result.stdout
    assert _info(mien, "gallery")["count"] == 5


def test_an_interruption_keeps_what_was_acknowledged(
    mien: Mien, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.search.gallery import Gallery

    _photos(Path("photos"), 540)  # two commits
    add, calls = Gallery.add, []

    def interrupted(self: Gallery, *arguments: object, **options: object) -> None:
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        add(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Gallery, "add", interrupted)
    result = mien("gallery", "build", "gallery", "photos", "--aligned")
    assert result.exit_code == 130
    assert result.stderr == "mien: interrupted; what was acknowledged is kept\n"
    assert 0 < _info(mien, "gallery")["count"] < 540


def test_csv_and_recogniser_fill_the_attributes(mien: Mien) -> None:
    _photos(Path("photos"), 3)
    Path("known.csv").write_text("file,Smiling\n000.png,1\n001.png,-1\n002.png,\n")
    mien("gallery", "build", "plain", "photos", "--aligned", "--csv", "known.csv")
    assert _info(mien, "plain")["known"]["Smiling"] == 2
    arguments = ("photos", "--aligned", "--csv", "known.csv", "--recognise")
    mien("gallery", "build", "read", *arguments)
    assert set(_info(mien, "read")["known"].values()) == {3}


def test_workers_build_the_gallery_that_one_process_builds(mien: Mien, toys: Path) -> None:
    _photos(Path("photos"), 12)
    Path("photos/003.png").write_bytes(b"")
    Path("known.csv").write_text("file,Smiling\n000.png,1\n001.png,-1\n")
    how = ("photos", "--aligned", "--csv", "known.csv", "--space", toys / "vae-128")
    one = mien("gallery", "build", "one", *how)
    two = mien("gallery", "build", "two", *how, "--workers", "1")
    assert (two.exit_code, two.stderr) == (0, one.stderr)
    assert two.stdout == "two: 11 faces added, 1 could not be used\n"
    names = sorted(path.name for path in Path("one").iterdir())
    assert sorted(path.name for path in Path("two").iterdir()) == names
    assert all(Path("one", n).read_bytes() == Path("two", n).read_bytes() for n in names)


def test_add_and_remove(mien: Mien) -> None:
    _photos(Path("photos"), 3)
    mien("gallery", "build", "gallery", "photos", "--aligned")
    Path("photos/000.png").rename("extra.png")
    assert mien("gallery", "add", "gallery", "extra.png", "--aligned").exit_code == 0
    result = mien("gallery", "remove", "gallery", "001.png", "extra.png")
    assert "removed 2, 2 faces left" in result.stdout


def test_forgetting_is_proven_by_a_search_of_every_file(mien: Mien) -> None:
    _photos(Path("photos"), 3)
    mien("gallery", "build", "gallery", "photos", "--aligned")
    done = json.loads(mien("gallery", "forget", "gallery", "001.png", "--json").stdout)
    assert (done["forgotten"], done["kept"], done["left"]) == (["001.png"], 2, [])
    files = [path for path in Path("gallery").iterdir() if path.is_file()]
    assert done["files"] == len(files)
    assert not any(b"001.png" in path.read_bytes() for path in files)
    Path("gallery/notes.txt").write_text("002.png: a friend")
    result = mien("gallery", "forget", "gallery", "002.png")
    assert result.exit_code == 2
    assert "still holds id of 002.png in notes.txt; forget the face" in result.stderr
    assert "nothing of them is left" in mien("gallery", "forget", "gallery", "000.png").stdout


def test_a_person_is_forgotten_after_being_listed(mien: Mien, astronaut: Path) -> None:
    _photos(Path("photos"), 2)
    shutil.copy(astronaut, "me.png")
    mien("gallery", "build", "gallery", "photos", "--aligned")
    mien("gallery", "add", "gallery", "me.png")
    person = ("gallery", "forget", "gallery", "--person", "me.png")
    listed = mien(*person)
    assert "nothing is forgotten yet" in listed.stdout
    assert json.loads(mien(*person, "--json").stdout)["faces"][0]["id"] == "me.png"
    assert _info(mien, "gallery")["count"] == 3
    shutil.copy(astronaut, "elsewhere.png")
    by_photo = ("gallery", "forget", "gallery", "--person", "elsewhere.png", "--threshold", "0.99")
    done = json.loads(mien(*by_photo, "--yes", "--json").stdout)
    assert (done["forgotten"], done["kept"], done["left"]) == (["me.png"], 2, [])


def test_names_that_are_not_utf_8_are_printed_escaped(mien: Mien) -> None:
    odd = os.fsdecode(b"caf\xe9.png")
    _photos(Path("photos"), 3)
    Path("photos/000.png").rename(Path("photos") / odd)
    Path("photos/001.png").rename(Path("photos") / ("broken-" + odd))
    (Path("photos") / ("broken-" + odd)).write_bytes(b"")
    built = mien("gallery", "build", "gallery", "photos", "--aligned")
    assert (built.exit_code, built.exception) == (0, None), built.output
    assert "broken-caf\\udce9.png" in built.stderr
    find = ("find", Path("photos") / odd, "--aligned", "-k", "2", "--gallery", "gallery")
    table = mien(*find, "--sheet", "sheet.png")
    assert (table.exit_code, table.exception) == (0, None), table.output
    assert "caf\\udce9.png" in table.stdout
    assert json.loads(mien(*find, "--json").stdout)["hits"][0]["id"] == odd


def test_nobody_is_forgotten_where_nobody_is_alike(mien: Mien, astronaut: Path) -> None:
    _photos(Path("photos"), 2)
    mien("gallery", "build", "gallery", "photos", "--aligned")
    person = ("gallery", "forget", "gallery", "--person", astronaut, "--threshold", "0.99")
    for more in ((), ("--yes",)):
        said = mien(*person, *more)
        assert (said.exit_code, said.stderr) == (0, "")
        assert "nobody is like" in said.stdout
        assert "add --yes" not in said.stdout
    assert _info(mien, "gallery")["count"] == 2


@pytest.mark.parametrize("threshold", ["-5", "nan", "0", "0.1", "1.01", "inf"])
def test_a_threshold_that_would_forget_everybody_is_refused(
    mien: Mien, refused: Callable[..., str], astronaut: Path, threshold: str
) -> None:
    _photos(Path("photos"), 1)
    mien("gallery", "build", "gallery", "photos", "--aligned")
    person = ("gallery", "forget", "gallery", "--person", astronaut, "--yes")
    assert f"--threshold {float(threshold):g}" in refused(*person, "--threshold", threshold)
    assert "to --person" in refused("gallery", "forget", "gallery", "a", "--threshold", "0.9")
    assert _info(mien, "gallery")["count"] == 1


def test_an_exported_gallery_is_found_in_after_its_import(mien: Mien) -> None:
    _photos(Path("photos"), 4)
    mien("gallery", "build", "gallery", "photos", "--aligned", "--recognise")
    result = mien("gallery", "export", "gallery", "-o", "people.zip")
    assert "people.zip: 4 faces" in result.stdout, result.output
    assert "4 faces added" in mien("gallery", "import", "copy", "people.zip").stdout
    again = mien("gallery", "import", "copy", "people.zip")
    assert "0 faces added, 4 were there already" in again.stdout
    find = ("find", "photos/003.png", "--aligned", "-k", "4", "--json", "--gallery")
    hits = [json.loads(mien(*find, place).stdout)["hits"] for place in ("gallery", "copy")]
    assert hits[0] == hits[1]
    mien("gallery", "export", "gallery", "-o", "bare.zip", "--no-thumbnails")
    assert Path("bare.zip").stat().st_size < Path("people.zip").stat().st_size


def test_an_index_in_milvus_changes_no_answer(mien: Mien) -> None:
    pytest.importorskip("milvus_lite")
    _photos(Path("photos"), 20)
    mien("gallery", "build", "gallery", "photos", "--aligned")
    find = ("find", "photos/003.png", "--aligned", "--gallery", "gallery", "--json")
    adjust = ("--adjust", "Smiling=1")
    before = mien(*find, *adjust).stdout
    result = mien("gallery", "index", "gallery", "--uri", "people.db")
    assert result.exit_code == 0, result.output
    assert "20 faces in" in result.stdout
    assert "recall@10 1.000 plain, 1.000 adjusted" in result.stdout
    assert mien(*find, *adjust, "--index").stdout == before
    assert "recall@10 1.000" in "".join(mien("gallery", "info", "gallery").stdout.split("\n"))
    assert "make it again" in mien("gallery", "forget", "gallery", "004.png").stdout
    assert "no index; make one" in mien(*find, "--index").stderr
    assert mien("gallery", "index", "gallery").exit_code == 0  # where it was
    assert mien("gallery", "index", "gallery", "--drop").stdout == "gallery: no index\n"


def test_sampling_gives_attributes_to_every_face(mien: Mien) -> None:
    assert mien("gallery", "sample", "gallery", "--count", "3").exit_code == 0
    info = _info(mien, "gallery")
    assert info["count"] == 3
    assert set(info["known"].values()) == {3}
    below = mien("gallery", "sample", "other", "--seed", "-1")
    assert (below.exit_code, Path("other").exists()) == (2, False)
    assert "--seed" in below.stderr


def test_info_describes_the_embedded_gallery(mien: Mien, toys: Path) -> None:
    result = mien("gallery", "info", toys / "gallery")
    assert str(FACES) in result.stdout
    assert "vae-128@" in result.stdout


def test_compressing_changes_no_answer(mien: Mien) -> None:
    _photos(Path("photos"), 20)
    mien("gallery", "build", "gallery", "photos", "--aligned")
    find = ("find", "photos/003.png", "--aligned", "--gallery", "gallery", "--json")
    before = mien(*find).stdout
    result = mien("gallery", "compress", "gallery", "--bytes", "600")
    assert result.exit_code == 0, result.output
    assert "codes of 20 faces along vae-128-basis" in result.stdout
    assert list(Path("gallery").glob("codes-*"))
    assert "003.png" in before
    assert mien(*find).stdout == before
    other = ("--basis", EMBEDDED / "stylegan2-64-basis")
    mismatch = mien("gallery", "compress", "gallery", *other)
    assert mismatch.exit_code == 2
    assert "the basis is in w+ of stylegan2-64@" in mismatch.stderr
    assert "gallery is in z of vae-128@" in mismatch.stderr
    assert "no room" in mien("gallery", "compress", "gallery", "--bytes", "50").stderr


def test_refuses(refused: Callable[..., str], mien: Mien, other_space: Path) -> None:
    Path("empty").mkdir()
    _photos(Path("photos"), 2)
    mien("gallery", "build", "gallery", "photos", "--aligned")
    assert "empty" in refused("gallery", "build", "new", "empty")
    assert "missing" in refused("gallery", "build", "new", "missing")
    assert "photos" in refused("gallery", "build", "photos", "photos", "--aligned")
    assert "photos" in refused("gallery", "add", "gallery", "photos")
    assert "new" in refused("gallery", "add", "new", "photos/000.png")
    assert "did you mean 001.png" in refused("gallery", "remove", "gallery", "01.png")
    assert "did you mean 001.png" in refused("gallery", "forget", "gallery", "01.png")
    assert "give --uri" in refused("gallery", "index", "gallery")
    assert "one of the two" in refused("gallery", "forget", "gallery")
    assert "--space" in refused(
        "gallery", "forget", "gallery", "--person", "a", "--space", other_space
    )
    assert "new" in refused("gallery", "info", "new")
    assert "exclude" in refused(
        "gallery", "build", "new", "photos", "--csv", "a", "--split", "test"
    )
    assert "exclude" in refused(
        "gallery", "build", "new", "photos", "--workers", "2", "--ray", "local"
    )
    assert "list_eval_partition" in refused("gallery", "build", "new", "photos", "--split", "test")
    sentence = refused("gallery", "add", "gallery", "photos/000.png", "--space", other_space)
    assert "other@" in sentence


def test_a_space_of_another_size_is_searched_like_the_default(mien: Mien, astronaut: Path) -> None:
    space = ("--space", EMBEDDED / "stylegan2-64")
    basis = ("--basis", EMBEDDED / "stylegan2-64-basis")
    drawn = mien("gallery", "sample", "drawn", "--count", "6", *space)
    assert drawn.exit_code == 0, drawn.output
    Path("photos").mkdir()
    shutil.copy(astronaut, "photos/portrait.png")
    built = mien("gallery", "build", "drawn", "photos", "--recognise", *space)
    assert built.exit_code == 0, built.output
    found = mien("find", astronaut, "--gallery", "drawn", *space, *basis, "-k", "7", "--json")
    hits = json.loads(found.stdout)["hits"]
    assert len(hits) == 7
    assert hits[0]["id"] == "portrait.png"
    assert hits[0]["distance"] < 0.01 * hits[1]["distance"]

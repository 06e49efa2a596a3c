import io
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import BadGallery, BadInput, MissingExtra, SpaceMismatch
from mien.faces.portrait import FaceOptions, open_portrait
from mien.search import _decode
from mien.search.build import BuildOptions, build_gallery, sample_gallery
from mien.search.bulk import build_in_bulk, in_processes
from mien.search.gallery import Gallery
from mien.search.thumbnail import from_thumbnail
from mien.types import Attributes
from tests.search.bulk_writer import Opener
from tests.search.toys import ToySpace

BROKEN = ("empty.jpg", "text.jpg", "cut.jpg", "animated.gif", "tiny.png")


def colours(count):
    """uint8 [count, 3], one colour a photo."""
    return np.random.default_rng(0).integers(0, 256, (count, 3)).astype(np.uint8)


def photos(root: Path, count: int) -> list[Path]:
    """Aligned photos of one colour each, some in a folder below."""
    (root / "more").mkdir(parents=True)
    paths = [root / ("more" if n % 3 == 0 else "") / f"{n:03d}.png" for n in range(count)]
    for path, colour in zip(paths, colours(count), strict=True):
        Image.new("RGB", (24, 24), tuple(colour.tolist())).save(path)
    return paths


def broken(root: Path) -> list[Path]:
    """Five files that are no photos, each in its own way."""
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(buffer, "JPEG")
    frames = [Image.new("L", (24, 24), level) for level in (0, 255)]
    (root / "empty.jpg").touch()
    (root / "text.jpg").write_text("not a picture")
    (root / "cut.jpg").write_bytes(buffer.getvalue()[: buffer.tell() // 2])
    frames[0].save(root / "animated.gif", save_all=True, append_images=frames[1:])
    Image.new("L", (4, 4)).save(root / "tiny.png")
    return [root / name for name in BROKEN]


def plain(root: Path, **changes) -> BuildOptions:
    return BuildOptions(root=root, aligned=True, workers=0, batch=8, commit=20, **changes)


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_files_are_listed_and_stop_nothing(tmp_path, workers):
    good, bad = photos(tmp_path / "p", 95), broken(tmp_path / "p")
    paths = sorted(good + bad)
    seen = []
    options = replace(plain(tmp_path / "p"), workers=workers)
    report = build_gallery(
        tmp_path / "g", paths, ToySpace(), options, lambda done, all_: seen.append((done, all_))
    )
    assert (report.added, report.skipped) == (95, 0)
    assert [path for path, _ in report.failures] == [str(p) for p in paths if p in bad]
    assert all(path in sentence and "\n" not in sentence for path, sentence in report.failures)
    steps = [20 * shard + done for shard in range(5) for done in (8, 16, 20)]
    assert seen == [(done, 100) for done in steps]

    found = Gallery.open(tmp_path / "g")
    kept = [path for path in paths if path in good]
    assert found.ids == tuple(path.relative_to(tmp_path / "p").as_posix() for path in kept)
    assert found.paths == tuple(map(str, kept))
    expected = colours(95)[[good.index(path) for path in kept]] / 127.5 - 1
    channels = found.latent.values.reshape(95, 3, 16)
    np.testing.assert_allclose(channels, expected[:, :, None].repeat(16, axis=2), atol=0.01)


def test_a_photo_has_the_latent_a_query_of_it_would_have(tmp_path, astronaut):
    Image.open(astronaut).crop((150, 0, 300, 150)).save(tmp_path / "face.png")
    build_gallery(tmp_path / "g", [tmp_path / "face.png"], ToySpace(), plain(tmp_path))
    face = open_portrait(tmp_path / "face.png", 16, FaceOptions(aligned=True)).face.pixels
    found = Gallery.open(tmp_path / "g")
    np.testing.assert_array_equal(found.latent.values, ToySpace().encode(face[None]).values)
    picture = from_thumbnail(found.thumbnail("face.png"))
    assert (picture.size, picture.mode) == ((128, 128), "RGB")
    small = np.asarray(picture.resize((16, 16), Image.Resampling.BOX)) / 127.5 - 1
    assert np.abs(small.transpose(2, 0, 1) - face).mean() < 0.1


def test_a_photo_that_is_not_aligned_is_detected_first(tmp_path, astronaut):
    pytest.importorskip("dlib")
    report = build_gallery(tmp_path / "g", [astronaut], ToySpace(), BuildOptions(workers=0))
    face = open_portrait(astronaut, 16).face.pixels
    assert (report.added, report.failures) == (1, ())
    found = Gallery.open(tmp_path / "g").latent.values
    np.testing.assert_array_equal(found, ToySpace().encode(face[None]).values)


def test_it_goes_on_where_it_stopped(tmp_path):
    paths = photos(tmp_path / "p", 30)
    whole = build_gallery(tmp_path / "whole", paths, ToySpace(), plain(tmp_path / "p"))
    first = build_gallery(tmp_path / "g", paths[:11], ToySpace(), plain(tmp_path / "p"))
    second = build_gallery(tmp_path / "g", paths, ToySpace(), plain(tmp_path / "p"))
    third = build_gallery(tmp_path / "g", paths, ToySpace(), plain(tmp_path / "p"))
    assert [first.added, second.added, third.added, whole.added] == [11, 19, 0, 30]
    assert [first.skipped, second.skipped, third.skipped] == [0, 11, 30]
    got, expected = Gallery.open(tmp_path / "g"), Gallery.open(tmp_path / "whole")
    assert got.ids == expected.ids
    np.testing.assert_array_equal(got.latent.values, expected.latent.values)


def second_folder(tmp_path):
    """A gallery of p/000.png to p/003.png of folder p, and a folder q of which a half differs."""
    paths = photos(tmp_path / "p", 4)
    build_gallery(tmp_path / "g", paths, ToySpace(), plain(tmp_path / "p"))
    shutil.copytree(tmp_path / "p", tmp_path / "q")
    others = [tmp_path / "q" / path.relative_to(tmp_path / "p") for path in paths]
    for path in others[:2]:
        Image.new("RGB", (24, 24), (1, 2, 3)).save(path)
    return paths, others


def by_build(tmp_path, paths):
    return build_gallery(tmp_path / "g", paths, ToySpace(), plain(tmp_path / "q"))


def by_bulk(tmp_path, paths):
    return build_in_bulk(tmp_path / "g", paths, Opener(), in_processes(1), plain(tmp_path / "q"))


@pytest.mark.parametrize("build", [by_build, by_bulk])
def test_another_photo_of_the_same_name_is_said_to_be_left_out(tmp_path, build):
    paths, others = second_folder(tmp_path)
    report = build(tmp_path, others)
    assert (report.added, report.skipped, report.moved) == (0, 2, 0)  # two are copies
    assert [path for path, _ in report.failures] == [str(path) for path in others[:2]]
    assert f"{others[1]} is another photo than {paths[1]}" in report.failures[1][1]
    assert "holds as 001.png; rename it" in report.failures[1][1]


@pytest.mark.parametrize("build", [by_build, by_bulk])
def test_photos_that_were_moved_are_known_and_counted(tmp_path, build):
    paths, others = second_folder(tmp_path)
    shutil.rmtree(tmp_path / "p")
    report = build(tmp_path, others)
    assert (report.added, report.skipped, report.moved, report.failures) == (0, 4, 4, ())
    (tmp_path / "p").symlink_to(tmp_path / "q")  # the same files by another way
    assert build_gallery(tmp_path / "g", paths, ToySpace(), plain(tmp_path / "p")).failures == ()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_interrupt_leaves_what_was_committed(tmp_path, workers):
    paths = photos(tmp_path / "p", 60)

    inside = colours(60)[30] / 127.5 - 1  # of the fifth batch

    class Interrupted(ToySpace):
        def encode(self, faces):
            if np.isclose(faces[:, :, 0, 0], inside, atol=0.01).all(axis=1).any():
                raise KeyboardInterrupt
            return super().encode(faces)

    options = replace(plain(tmp_path / "p"), workers=workers)
    with pytest.raises(KeyboardInterrupt):
        build_gallery(tmp_path / "g", paths, Interrupted(), options)
    assert len(Gallery.open(tmp_path / "g")) == 20  # a shard, in batches of 8, 8 and 4
    assert build_gallery(tmp_path / "g", paths, ToySpace(), options).added == 40


def test_a_full_disk_leaves_what_was_committed(tmp_path, monkeypatch):
    paths = photos(tmp_path / "p", 60)
    real, commits = Gallery.add, []

    def full(self, entries, replace=False):
        commits.append(len(entries))
        if len(commits) == 2:
            raise BadInput("cannot write shard: No space left on device")
        real(self, entries, replace)

    with monkeypatch.context() as patch:
        patch.setattr(Gallery, "add", full)
        with pytest.raises(BadInput, match="No space left"):
            build_gallery(tmp_path / "g", paths, ToySpace(), plain(tmp_path / "p"))
    assert len(Gallery.open(tmp_path / "g")) == commits[0] == 20


def test_known_attributes_stay_with_their_photo_and_the_recogniser_fills_the_rest(tmp_path):
    paths = photos(tmp_path / "p", 12)
    bad = broken(tmp_path / "p")[0]
    table = np.random.default_rng(0).integers(-1, 2, (13, 2)).astype(np.int8)
    known = Attributes(("Young", "Red"), table)

    class Reader:
        names = ("Red", "Blue")

        def probabilities(self, faces):
            return (faces[:, [0, 2], 0, 0] + 1) / 2

    report = build_gallery(
        tmp_path / "g", [bad, *paths], ToySpace(),
        plain(tmp_path / "p", attributes=known, recogniser=Reader()),
    )  # fmt: skip
    found = Gallery.open(tmp_path / "g").attributes
    assert (report.added, found.names) == (12, ("Young", "Red", "Blue"))
    red, blue = np.where(colours(12)[:, [0, 2]] >= 128, 1, -1).T
    np.testing.assert_array_equal(found.column("Young"), table[1:, 0])
    np.testing.assert_array_equal(found.column("Red"), np.where(table[1:, 1], table[1:, 1], red))
    np.testing.assert_array_equal(found.column("Blue"), blue)


def test_a_photo_given_twice_is_stored_once(tmp_path):
    paths = photos(tmp_path / "p", 4)
    report = build_gallery(tmp_path / "g", paths + paths, ToySpace(), plain(tmp_path / "p"))
    assert (report.added, report.skipped) == (4, 0)


def test_a_gallery_of_another_space_is_refused_before_any_work(tmp_path):
    paths = photos(tmp_path / "p", 2)
    Gallery.create(tmp_path / "g", "other@3", "z", (48,))
    with pytest.raises(SpaceMismatch, match="other@3"):
        build_gallery(tmp_path / "g", paths, ToySpace(), plain(tmp_path / "p"))


def test_nothing_to_add_is_refused_and_makes_no_folder(tmp_path):
    with pytest.raises(BadInput, match="no photos"):
        build_gallery(tmp_path / "g", [], ToySpace())
    rows = Attributes(("A",), np.zeros((2, 1), np.int8))
    with pytest.raises(BadInput, match="1 photos have 2 rows"):
        build_gallery(tmp_path / "g", [tmp_path / "x"], ToySpace(), BuildOptions(attributes=rows))
    assert not (tmp_path / "g").exists()


def test_two_builds_of_one_gallery_do_not_mix(tmp_path):
    paths = photos(tmp_path / "p", 9)
    refused = []

    def meanwhile(done, total):
        with pytest.raises(BadGallery, match="another process") as caught:
            build_gallery(tmp_path / "g", paths, ToySpace(), plain(tmp_path / "p"))
        refused.append(str(caught.value))

    build_gallery(tmp_path / "g", paths, ToySpace(), plain(tmp_path / "p"), meanwhile)
    assert len(refused) == 2
    assert len(Gallery.open(tmp_path / "g")) == 9


def test_an_unforeseen_failure_is_a_sentence_but_a_missing_package_is_an_error(monkeypatch):
    def raises(error):
        def open_it(*_):
            raise error

        monkeypatch.setattr(_decode, "open_portrait", open_it)
        return _decode.decode_one(Path("x.jpg"), 16, FaceOptions())

    assert raises(MemoryError("big")).failure == "cannot use x.jpg: MemoryError (big)"
    with pytest.raises(MissingExtra):
        raises(MissingExtra("install dlib"))


def test_decoding_and_searching_do_not_import_torch():
    rooms = "mien.search._decode, mien.search.build, mien.search.exact, mien.search.sheet"
    heavy = "{'torch', 'scipy', 'sklearn', 'matplotlib'}"
    code = f"import sys, {rooms}; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_sampled_faces_decode_to_their_thumbnails(tmp_path):
    space = ToySpace()
    assert sample_gallery(tmp_path / "g", 70, space, BuildOptions(batch=32), seed=5).added == 70
    found = Gallery.open(tmp_path / "g")
    np.testing.assert_array_equal(found.latent.values, space.sample(70, seed=5).values)
    assert (found.ids[0], found.ids[-1]) == ("sample-5-000001", "sample-5-000070")
    assert set(found.paths) == {""}
    face = space.decode(found.latent[33:34])[0]
    picture = from_thumbnail(found.thumbnail(found.ids[33])).resize((16, 16), Image.Resampling.BOX)
    assert np.abs(np.asarray(picture).transpose(2, 0, 1) / 127.5 - 1 - face).mean() < 0.1
    sample_gallery(tmp_path / "g", 70, space, BuildOptions(batch=32), seed=5)
    assert len(Gallery.open(tmp_path / "g")) == 70


def test_no_sampled_face_is_refused(tmp_path):
    with pytest.raises(BadInput, match="at least 1"):
        sample_gallery(tmp_path / "g", 0, ToySpace())


def test_real_aligned_photos_are_all_stored(tmp_path, celeba_root):
    root = celeba_root / "img_align_celeba"
    paths = sorted(root.glob("*.jpg"))[:40]
    options = BuildOptions(root=root, aligned=True, workers=2)
    report = build_gallery(tmp_path / "g", paths, ToySpace(), options)
    assert (report.added, report.failures) == (40, ())
    assert Gallery.open(tmp_path / "g").ids == tuple(path.name for path in paths)

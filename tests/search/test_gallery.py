import errno
import os
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mien.errors import BadGallery, BadInput, SpaceMismatch, UnknownName
from mien.search._shard import ROWS, Entries
from mien.search.gallery import Gallery
from mien.types import Attributes
from tests.search.toys import MARK, SPACE, basis, entries, gallery, picture

VALUES = np.arange(24, dtype=np.float32).reshape(6, 4)


@pytest.fixture
def stored(tmp_path):
    return gallery(tmp_path / "g", VALUES, list("abcdef"))


def holds(opened: Gallery, ids: str, values: np.ndarray) -> None:
    assert opened.ids == tuple(ids)
    np.testing.assert_array_equal(opened.latent.values, values)
    assert opened.paths == tuple(f"/photos/{name}" for name in ids)
    assert opened.thumbnails(list(ids)) == [picture(name) for name in ids]
    assert len(opened.attributes.table) == len(opened) == len(ids)


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def test_what_was_added_is_there_when_opened_again(stored):
    holds(Gallery.open(stored.folder), "abcdef", VALUES)
    holds(stored, "abcdef", VALUES)
    assert (stored.mark, stored.space, stored.shape) == (MARK, SPACE, (4,))


def test_layered_latents_keep_their_shape(tmp_path):
    values = np.random.default_rng(0).normal(size=(3, 5, 2)).astype(np.float32)
    holds(Gallery.open(gallery(tmp_path / "g", values, list("abc")).folder), "abc", values)


def test_small_adds_share_a_file_and_large_ones_are_split(tmp_path):
    made = gallery(tmp_path / "g", np.empty((0, 2), np.float32))
    values = np.random.default_rng(0).normal(size=(2 * ROWS + 7, 2)).astype(np.float32)
    names = [f"{number:05d}" for number in range(len(values))]
    for row in range(5):
        made.add(entries(names[row : row + 1], values[row : row + 1]))
    assert len(list(made.folder.glob("shard-*"))) == 1
    made.add(entries(names[5:], values[5:]))
    assert len(list(made.folder.glob("shard-*"))) == 4
    again = Gallery.open(made.folder)
    assert again.ids == tuple(names)
    np.testing.assert_array_equal(again.latent.values, values)


def test_an_id_that_is_there_is_refused_or_replaced(stored):
    fresh = entries(["c", "x"], np.full((2, 4), 9, np.float32))
    with pytest.raises(BadInput, match=r"already holds 'c'; remove it first, or replace it"):
        stored.add(fresh)
    holds(Gallery.open(stored.folder), "abcdef", VALUES)
    stored.add(fresh, replace=True)
    expected = np.concatenate([np.delete(VALUES, 2, axis=0), fresh.latent.values])
    holds(Gallery.open(stored.folder), "abdefcx", expected)


def test_a_removed_face_is_gone_from_the_disk(stored):
    assert picture("c") in on_disk(stored.folder)
    assert VALUES[2].tobytes() in on_disk(stored.folder)
    stored.remove(["c", "e"])
    holds(Gallery.open(stored.folder), "abdf", np.delete(VALUES, [2, 4], axis=0))
    assert picture("c") not in on_disk(stored.folder)
    assert VALUES[2].tobytes() not in on_disk(stored.folder)
    assert b"/photos/c" not in on_disk(stored.folder)


def test_a_gallery_can_be_emptied_and_filled_again(stored):
    stored.remove("abcdef")
    holds(Gallery.open(stored.folder), "", np.empty((0, 4), np.float32))
    stored.add(entries(["a"], VALUES[:1]))
    holds(Gallery.open(stored.folder), "a", VALUES[:1])


def test_removing_what_is_not_there_removes_nothing(stored):
    with pytest.raises(UnknownName, match="face 'zz'"):
        stored.remove(["a", "zz"])
    holds(Gallery.open(stored.folder), "abcdef", VALUES)


def test_attributes_of_another_vocabulary_are_joined_unknown_where_lacking(stored):
    other = entries(["x"], VALUES[:1], np.array([[-1, 1]], np.int8))
    stored.add(replace(other, attributes=Attributes(("A1", "New"), other.attributes.table)))
    found = Gallery.open(stored.folder)
    assert found.attributes.names == ("A0", "A1", "New")
    np.testing.assert_array_equal(found.attributes.table[-2:], [[1, 1, 0], [0, -1, 1]])
    assert found.info().known == {"A0": 6, "A1": 7, "New": 1}


def test_info_counts_faces_and_bytes(stored):
    info = stored.info()
    assert (info.count, info.mark, info.space, info.shape) == (6, MARK, SPACE, (4,))
    assert info.bytes == len(on_disk(stored.folder))  # the lock file is empty


def test_a_latent_of_another_space_or_shape_is_refused(stored):
    fresh = entries(["x"], VALUES[:1])
    with pytest.raises(SpaceMismatch, match=r"w of other@2; use that model or build"):
        stored.add(replace(fresh, latent=replace(fresh.latent, model="other@2", space="w")))
    with pytest.raises(BadInput, match=r"shape \[3\].* holds \[4\]"):
        stored.add(entries(["x"], VALUES[:1, :3]))


@pytest.mark.parametrize(
    ("ids", "sentence"), [(["a", "a"], "'a' is given twice"), (["a", ""], "empty id")]
)
def test_ids_to_store_are_unique_names(ids, sentence):
    with pytest.raises(BadInput, match=sentence):
        entries(ids, VALUES[:2])


def test_entries_of_different_lengths_are_refused():
    whole = entries(["a", "b"], VALUES[:2])
    with pytest.raises(BadInput, match="differ"):
        Entries(whole.ids, whole.paths, whole.latent, whole.attributes, whole.thumbnails[:1])


def test_the_thumbnail_of_an_unknown_face_is_refused(stored):
    assert stored.thumbnail("b") == picture("b")
    with pytest.raises(UnknownName, match="face 'q'"):
        stored.thumbnail("q")


def test_a_folder_that_is_no_gallery_is_refused(tmp_path):
    with pytest.raises(BadGallery, match="is not a gallery; make one with: mien gallery build"):
        Gallery.open(tmp_path / "none")


def test_a_new_gallery_needs_a_folder_of_its_own(stored, tmp_path):
    with pytest.raises(BadInput, match="already is a gallery"):
        Gallery.create(stored.folder, MARK, SPACE, (4,))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(BadInput, match=r"already holds letter.txt"):
        Gallery.create(tmp_path / "mine", MARK, SPACE, (4,))


def test_shards_without_a_manifest_are_not_overwritten(stored):
    (stored.folder / "manifest.json").unlink()
    before = on_disk(stored.folder)
    with pytest.raises(BadInput, match=r"already holds shard-000001.npz"):
        Gallery.create(stored.folder, MARK, SPACE, (4,))
    assert on_disk(stored.folder) == before


def test_a_shard_with_a_latent_that_is_no_number_is_named(stored):
    (shard,) = stored.folder.glob("shard-*")
    with np.load(shard) as file:
        arrays = dict(file)
    arrays["latents"][1, 0] = np.nan
    np.savez(shard, **arrays)
    opened = Gallery.open(stored.folder)
    sentence = r"shard-000001.npz is damaged \(the latent of 'b' holds NaN.*build the gallery again"
    with pytest.raises(BadGallery, match=sentence):
        opened.latent  # noqa: B018
    with pytest.raises(BadGallery, match=sentence):
        opened.compress(np.eye(4, 1, dtype=np.float32))


@pytest.mark.parametrize("keep", [0, 100, -30])
def test_a_damaged_shard_is_named(stored, keep):
    (shard,) = stored.folder.glob("shard-*")
    shard.write_bytes(shard.read_bytes()[:keep])
    with pytest.raises(BadGallery, match=r"shard-000001.npz is damaged"):
        Gallery.open(stored.folder)


def test_a_flipped_bit_in_the_latents_is_noticed(stored):
    (shard,) = stored.folder.glob("shard-*")
    data = bytearray(shard.read_bytes())
    data[data.index(VALUES[2].tobytes()) + 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(BadGallery, match=r"shard-000001.npz is damaged"):
        Gallery.open(stored.folder).latent  # noqa: B018


def test_a_missing_shard_is_named(stored):
    (shard,) = stored.folder.glob("shard-*")
    shard.unlink()
    with pytest.raises(BadGallery, match=r"shard-000001.npz is missing"):
        Gallery.open(stored.folder)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": 2}', '{"format": 1, "shards": ["../../etc/passwd"]}']
)
def test_a_damaged_manifest_is_named(stored, text):
    (stored.folder / "manifest.json").write_text(text)
    with pytest.raises(BadGallery, match=r"manifest.json is damaged"):
        Gallery.open(stored.folder)


def test_a_second_writer_is_refused_and_a_reader_is_not(stored):
    second = Gallery.open(stored.folder)
    with stored.writing():
        stored.add(entries(["x"], VALUES[:1]))
        with pytest.raises(BadGallery, match="is being written by another process"):
            second.add(entries(["y"], VALUES[:1]))
        assert "x" in Gallery.open(stored.folder)
    second.add(entries(["y"], VALUES[:1]))
    assert Gallery.open(stored.folder).ids == tuple("abcdefxy")


def test_a_writer_sees_what_another_wrote_before_it(stored):
    second = Gallery.open(stored.folder)
    stored.remove(["a"])
    stored.add(entries(["x"], VALUES[:1]))
    with pytest.raises(BadInput, match="already holds 'x'"):
        second.add(entries(["x"], VALUES[:1]))
    second.remove(["x"])
    assert second.ids == Gallery.open(stored.folder).ids == tuple("bcdef")


def test_a_reader_overtaken_by_a_writer_is_told_to_open_again(stored):
    reader = Gallery.open(stored.folder)
    stored.remove(["a"])
    with pytest.raises(BadGallery, match="open the gallery again"):
        reader.latent  # noqa: B018


def test_files_of_the_user_are_never_swept(stored):
    for name in ("notes.txt", "shard-notes.npz", ".shard"):
        (stored.folder / name).write_text("mine")
    (stored.folder / "shard-000099.npz").write_text("left by a dead writer")
    (stored.folder / ".manifest.json.abc").write_text("left by a dead writer")
    stored.add(entries(["x"], VALUES[:1]))
    names = {path.name for path in stored.folder.iterdir()}
    assert {"notes.txt", "shard-notes.npz", ".shard"} <= names
    assert not {"shard-000099.npz", ".manifest.json.abc"} & names


def fail_from(monkeypatch, count):
    """From the `count`-th fsync on the disk is full; returns how often it was called."""
    calls = []
    real = os.fsync

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) >= count:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return calls


@pytest.mark.parametrize("act", ["add", "replace", "remove"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_disk_full_at_any_sync_loses_nothing(stored, monkeypatch, act, count):
    fresh = entries(["a", "x"], np.full((2, 4), 9, np.float32))
    after = {
        "add": ("abcdefx", np.concatenate([VALUES, fresh.latent.values[1:]])),
        "replace": ("bcdefax", np.concatenate([VALUES[1:], fresh.latent.values])),
        "remove": ("bcdef", VALUES[1:]),
    }[act]
    with monkeypatch.context() as patch:
        calls = fail_from(patch, count)
        with pytest.raises(BadInput, match="No space left on device"):
            {
                "add": lambda: stored.add(fresh.rows([1])),
                "replace": lambda: stored.add(fresh, replace=True),
                "remove": lambda: stored.remove(["a"]),
            }[act]()
    assert len(calls) == count
    state = after if count == 4 else ("abcdef", VALUES)  # the 4th sync follows the rename
    holds(Gallery.open(stored.folder), *state)
    holds(stored, *state)
    listed = {path.name for path in stored.folder.iterdir()}
    assert len(listed) == 3  # manifest, lock, one shard: nothing half-written remains


def test_a_really_full_disk_loses_nothing(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root and the right to mount")
    try:
        made = gallery(disk / "g", np.ones((8, 1000), np.float32))
        with pytest.raises(BadInput, match="No space left on device"):
            made.add(entries([f"x{n}" for n in range(90)], np.ones((90, 1000), np.float32)))
        assert len(Gallery.open(disk / "g")) == len(made) == 8
        made.add(entries(["small"], np.ones((1, 1000), np.float32)))
        assert len(Gallery.open(disk / "g")) == 9
    finally:
        subprocess.run(["umount", str(disk)], check=True)


class AgainstADictionary(RuleBasedStateMachine):
    """Random adds, replacements, removals and reopenings against a plain dictionary."""

    folder: Path

    def __init__(self):
        super().__init__()
        self.gallery = Gallery.create(Path(tempfile.mkdtemp(dir=self.folder)), MARK, SPACE, (2,))
        self.model: dict[str, np.ndarray] = {}
        self.count = 0.0

    @rule(ids=st.sets(st.sampled_from("abcdefgh"), min_size=1), swap=st.booleans())
    def add(self, ids, swap):
        names = sorted(ids)
        self.count += 1
        fresh = entries(names, np.full((len(names), 2), self.count, np.float32))
        if not swap and ids & set(self.model):
            with pytest.raises(BadInput, match="already holds"):
                self.gallery.add(fresh)
            return
        self.gallery.add(fresh, replace=swap)
        for name, row in zip(names, fresh.latent.values, strict=True):
            self.model.pop(name, None)
            self.model[name] = row

    @rule(ids=st.sets(st.sampled_from("abcdefgh")))
    def remove(self, ids):
        present = ids & set(self.model)
        self.gallery.remove(present)
        for name in present:
            del self.model[name]

    @rule()
    def reopen(self):
        self.gallery = Gallery.open(self.gallery.folder)

    @invariant()
    def it_holds_what_the_dictionary_holds(self):
        holds(
            self.gallery,
            "".join(self.model),
            np.array(list(self.model.values()), np.float32).reshape(-1, 2),
        )


def test_any_sequence_of_writes_keeps_what_a_dictionary_keeps(tmp_path, monkeypatch):
    monkeypatch.setattr("mien.search._shard.ROWS", 3)  # several shards among eight faces
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(AgainstADictionary, "folder", tmp_path, raising=False)
    run_state_machine_as_test(
        AgainstADictionary,
        settings=settings(max_examples=25, stateful_step_count=15, deadline=None),
    )


def test_projections_follow_the_faces(stored):
    vectors = basis(0, 4, 2)
    stored.projections(vectors)
    stored.remove(["b"])
    scores, rest = stored.projections(vectors)
    values = np.delete(VALUES, 1, axis=0).astype(np.float64)
    np.testing.assert_allclose(scores, values @ vectors, atol=1e-9)
    np.testing.assert_allclose(rest + (scores**2).sum(axis=1), (values**2).sum(axis=1), rtol=1e-6)

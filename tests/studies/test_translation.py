"""The translation study with a translator whose faults are known."""

import csv

import numpy as np
import pytest
from scipy.linalg import sqrtm

from mien.errors import UnknownName
from mien.generators._labels import Part, Vocabulary
from mien.studies import translation as study
from mien.types import Attributes

NAMES = ("Blond_Hair", "Male")


class Bleach:
    """Whitens the upper half for Blond_Hair; cannot change Male; the way back does nothing."""

    names, size, frame, mark = NAMES, 32, "celeba", "bleach@1"
    vocabulary = Vocabulary((Part(NAMES),))

    def __init__(self):
        self.card = {"name": "bleach"}

    def translate(self, faces, labels, part=0):
        made = faces.copy()
        made[labels[:, 0] > 0.5, :, :16] = 1
        return made


class Brightness:
    """Sees Blond_Hair in a white upper half, Male in a white lower left corner."""

    names, size = ("Blond_Hair", "Male"), 32

    def probabilities(self, faces):
        return np.stack([faces[:, :, :16].mean((1, 2, 3)) > 0.9, faces[:, 0, -1, 0] > 0.9], 1) * 1.0


class Data:
    """Forty photos: every second of a man, every fourth blond, three of them bald."""

    def __init__(self, kept=range(40)):
        self.paths = tuple(kept)
        number = np.array(self.paths)
        present = np.stack([number < 3, number % 4 == 1, number % 2 == 0], 1)
        table = np.where(present, 1, -1).astype(np.int8)
        self.attributes = Attributes(("Bald", "Blond_Hair", "Male"), table)

    def rows(self, keep):
        return Data(np.array(self.paths)[keep])

    def __len__(self):
        return len(self.paths)


@pytest.fixture
def photos(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 200, (40, 32, 32, 3)).astype(np.uint8)
    pixels[::2, -1, 0] = 255  # the corner that men have
    monkeypatch.setattr(study, "read_celeba", lambda root, split: Data())
    monkeypatch.setattr(study, "cached_crops", lambda paths, size: pixels[list(paths)])
    monkeypatch.setattr(study.identity, "embed", lambda faces: np.ones((len(faces), 1)))
    monkeypatch.setattr(study, "face_features", lambda faces: faces.mean((2, 3)))
    return pixels


def distance(men):
    """Frechet distance of mean colours: men bleached and men left alone, to men (scipy's root)."""
    faces = men.transpose(0, 3, 1, 2) / 127.5 - 1
    white = faces.copy()
    white[:, :, :16] = 1
    before = faces.mean((2, 3))
    after = np.concatenate([white.mean((2, 3)), before])
    first, second = np.cov(before.T), np.cov(after.T)
    shared = np.trace(sqrtm(first @ second).real)
    apart = np.square(before.mean(0) - after.mean(0)).sum()
    return apart + np.trace(first) + np.trace(second) - 2 * shared


def test_shares_of_everybody_and_of_groups(photos, tmp_path):
    options = study.Options(groups=("Bald", "Male"), grid=2)
    readers = (Brightness(), Brightness())
    rows, wholes = study.run(tmp_path, [Bleach()], readers, options, tmp_path, lambda *a: None)
    whole, men, _ = wholes
    found = {(row.group, row.wish): row for row in rows}
    assert {group for group, _ in found} == {study.EVERYBODY, "Male", "not Male"}  # 3 are too few
    assert [found[group, "Blond_Hair"].faces for group in ("Male", "not Male")] == [20, 20]
    assert all(found[group, "Blond_Hair"].success == 1 for group in ("Male", "not Male"))
    assert all(found[group, "Male"].success == 0 for group in ("Male", "not Male"))
    assert found[study.EVERYBODY, "Blond_Hair"].judged == 1
    assert found[study.EVERYBODY, "Blond_Hair"].kept == 1
    assert found["Male", "Male"].kept == 1  # nobody blond is asked to stay so
    assert found["not Male", "Male"].kept == 0.5  # the blond half is bleached
    assert found[study.EVERYBODY, "Blond_Hair"].identity == pytest.approx(1)
    half = np.abs(1 - (np.random.default_rng(0).integers(0, 200, (40, 32, 32, 3)) / 127.5 - 1))
    bleached = half[:, :16].mean() / 2
    assert whole.reconstruction == pytest.approx((bleached + bleached / 4) / 2, rel=0.05)
    errors = np.square(half[:, :16]).mean((1, 2, 3)) / 2
    decibels, untouched = 10 * np.log10(4 / errors), 10 * np.log10(4e12)
    blond = np.arange(40) % 4 == 1  # whom the way back from Male bleaches
    wanted = np.mean([decibels, np.where(blond, decibels, untouched)])
    assert whole.psnr == pytest.approx(wanted, rel=0.01)
    assert (whole.group, men.group, men.faces) == (study.EVERYBODY, "Male", 20)
    assert men.psnr == pytest.approx(np.mean([decibels[::2], np.full(20, untouched)]), rel=0.01)
    assert men.frechet == pytest.approx(distance(photos[::2]), rel=1e-3)
    with (tmp_path / "translation.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(rows)
    assert (tmp_path / "bleach.png").is_file()
    assert (tmp_path / "bleach-moves.png").is_file()


def test_further_photos_count_in_their_group_alone(photos, tmp_path):
    options = study.Options(photos=11, groups=("Bald", "Male"), each=8, shares=2, grid=2)
    readers = (Brightness(), Brightness())
    rows, (whole, *_) = study.run(tmp_path, [Bleach()], readers, options, tmp_path, lambda *a: None)
    faces = {row.group: row.faces for row in rows}
    assert faces == {study.EVERYBODY: 11, "share 1": 6, "share 2": 5, "Male": 8, "not Male": 8}
    kept = {row.group: row.kept for row in rows if row.wish == "Male"}
    assert kept["share 1"] == 1  # men: none of them blond
    assert kept["share 2"] == pytest.approx(2 / 5)  # photos 1, 5 and 9 are bleached
    lone = study.Options(photos=3, groups=(), shares=2, grid=2)
    (tmp_path / "lone").mkdir()
    rows, _ = study.run(tmp_path, [Bleach()], readers, lone, tmp_path / "lone", lambda *a: None)
    assert {row.group for row in rows} == {study.EVERYBODY, "share 1"}  # the other has one face
    few = study.Options(photos=11, groups=(), grid=2)
    (tmp_path / "few").mkdir()
    _, (alone,) = study.run(tmp_path, [Bleach()], readers, few, tmp_path / "few", lambda *a: None)
    assert alone == whole


def test_every_data_set_is_asked_for_its_own_names(photos, tmp_path):
    asked = set()

    class Two(Bleach):
        vocabulary = Vocabulary(
            (Part(("Blond_Hair",)), Part(("a", "b"), "classes"), Part(("Male",)))
        )

        def translate(self, faces, labels, part=0):
            asked.add((part, labels.shape[1]))
            return faces

    rows, _ = study.run(
        tmp_path, [Two()], (Brightness(), Brightness()), study.Options(groups=(), grid=2), tmp_path,
        lambda *a: None,
    )  # fmt: skip
    assert [row.wish for row in rows] == ["Blond_Hair", "Male"]
    assert asked == {(0, 1), (2, 1)}
    assert rows[0].success == 0  # nobody has a white upper half
    assert rows[0].kept is None


def test_unknown_groups_are_refused(photos, tmp_path):
    options = study.Options(groups=("Mail",))
    with pytest.raises(UnknownName, match="did you mean Male"):
        study.run(
            tmp_path, [Bleach()], (Brightness(), Brightness()), options, tmp_path, lambda *a: None
        )

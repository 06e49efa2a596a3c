"""The retrieval study's numbers against loops over a toy gallery."""

import csv
from pathlib import Path

import numpy as np
import pytest

from mien.directions import open_directions
from mien.errors import SpaceMismatch
from mien.faces.celeba import CelebA
from mien.generators import open_space
from mien.measure.ndcg import legacy_ndcg
from mien.search.find import STRESS
from mien.search.preference import Preference
from mien.studies import _chosen as chosen
from mien.studies import retrieval
from mien.studies._queries import make_task
from mien.studies._scores import Scorer
from mien.studies._split import Split, encode_split
from mien.types import Attributes, Directions, Latent

NAMES = ("Smiling", "Male", "Young", "Bald")


def quiet(*_):
    """Tell nobody."""


@pytest.fixture
def split():
    random = np.random.default_rng(0)
    labels = random.choice([-1, 1], (60, 4)).astype(np.int8)
    values = random.normal(size=(60, 8)).astype(np.float32)
    values[:, :4] += 2 * labels
    data = CelebA(tuple(map(Path, map(str, range(60)))), Attributes(NAMES, labels), np.arange(60))
    return Split(data, np.zeros((60, 4, 4, 3), np.uint8), Latent(values, "z", "toy@0"))


@pytest.fixture
def basis():
    zero = np.zeros(4, np.float32)
    vectors = np.eye(8, 4, dtype=np.float32)
    return Directions(NAMES, vectors, zero, zero - 2, zero + 2, zero + 4, "z", "toy@0", True)


@pytest.fixture
def people():
    found = np.random.default_rng(1).normal(size=(60, 4))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_smiling_is_asked_of_faces_that_do_not_smile(split, basis):
    task = make_task(split, basis, "Smiling", 20, 0)
    labels = split.attributes.table
    assert (labels[task.rows, 0] == -1).all()
    assert (task.wanted[:, 0] == 1).all()
    assert np.isnan(task.wanted[:, 1:]).all()
    assert len(set(task.rows)) == len(task.rows) == 20


@pytest.mark.parametrize(("protocol", "count"), [("random", 1), ("three", 3)])
def test_random_attributes_are_flipped(split, basis, protocol, count):
    task = make_task(split, basis, protocol, 50, 0)
    assert (task.adjusted.sum(axis=1) == count).all()
    old = split.attributes.table[task.rows]
    assert (task.wanted[task.adjusted] == (old < 0)[task.adjusted]).all()
    assert task.adjusted.any(axis=0).all()


def test_order_is_that_of_the_written_out_distance(split, basis):
    task = make_task(split, basis, "three", 10, 0)
    wishes = Preference(np.array([1.0, 2.0, 0.0, 4.0]), np.array([5.0, 6.0, 7.0, 8.0]))
    order = chosen.ranked(split, basis, task, wishes)
    values = split.latent.values.astype(float)
    for place, row in enumerate(task.rows):
        query, weights = values[row].copy(), np.ones(8)
        weights[:4] = wishes.alone
        for column in np.flatnonzero(task.adjusted[place]):
            query[column] = 2 if task.wanted[place, column] else -2
            weights[column] = wishes.adjusted[column]
        distance = (weights * (query - values) ** 2).sum(axis=1)
        assert list(order[place]) == list(np.argsort(distance))


def test_scores_are_those_of_loops(split, basis, people):
    task = make_task(split, basis, "three", 12, 0)
    order = chosen.ranked(split, basis, task, chosen.uniform(basis))
    rows = Scorer(split, basis, task, people).rows([order], 200, 0)
    labels = split.attributes.table
    for row in rows:
        gains, adjusted, others, cosines = [], [], [], []
        for place, query in enumerate(task.rows):
            target, asked = labels[query].copy(), task.adjusted[place]
            target[asked] = -target[asked]
            relevance = [(labels[n] == target).sum() for n in range(60) if n != query]
            best = sorted(relevance, reverse=True)[: row["k"]]
            top = [n for n in order[place] if n != query][: row["k"]]
            found = [(labels[n] == target).sum() for n in top]
            gains.append(
                sum(g / np.log2(i + 2) for i, g in enumerate(found))
                / sum(g / np.log2(i + 2) for i, g in enumerate(best))
            )
            for n in top:
                agree = labels[n] == target
                adjusted.append(agree[asked].mean())
                others.append(agree[~asked].mean())
                cosines.append(people[n] @ people[query])
        assert row["ndcg"] == pytest.approx(np.mean(gains), abs=1e-6)
        assert row["adjusted"] == pytest.approx(np.mean(adjusted))
        assert row["others"] == pytest.approx(np.mean(others))
        assert row["identity"] == pytest.approx(np.mean(cosines), abs=1e-6)
        labels01 = (labels > 0).astype(int)
        assert row["legacy"] == pytest.approx(legacy_ndcg(labels01, task.rows, order, row["k"]))
        assert row["ndcg low"] < row["ndcg"] < row["ndcg high"]
        assert row["spread"] == 0


def test_rankings_by_several_orders_are_averaged_a_query(split, basis, people):
    task = make_task(split, basis, "random", 15, 0)
    scorer = Scorer(split, basis, task, people)
    orders = [np.random.default_rng(s).permuted(np.tile(np.arange(60), (15, 1)), axis=1)
              for s in range(3)]  # fmt: skip
    every = np.array([scorer.measures(order, 5)["ndcg"] for order in orders])
    row = scorer.rows(orders, 100, 0)[0]
    assert row["ndcg"] == pytest.approx(every.mean())
    assert row["spread"] == pytest.approx(every.std(axis=0).mean())
    assert row["spread"] > 0.01


@pytest.mark.parametrize("protocol", ["Smiling", "three"])
def test_chosen_preferences_are_no_worse_and_keep_what_they_say(split, basis, people, protocol):
    tasks = chosen.tasks(split, basis, protocol, 25, 0)
    best, keeping, granting = chosen.choose(split, people, basis, tasks, quiet)
    scorer = Scorer(split, basis, tasks[1], people)

    def measured(wishes, name, k=10):
        order = chosen.ranked(split, basis, tasks[1], wishes)
        return scorer.measures(order, k)[name].mean()

    plain = chosen.uniform(basis)
    assert measured(best, "ndcg") >= measured(keeping, "ndcg") >= measured(plain, "ndcg")
    assert measured(best, "ndcg") > measured(plain, "ndcg")
    for k in (5, 10, 20):
        assert measured(keeping, "identity", k) >= measured(plain, "identity", k)
    default = chosen.uniform(basis, adjusted=STRESS)
    assert measured(granting, "adjusted") >= measured(default, "adjusted")
    assert measured(best, "ndcg") >= measured(granting, "ndcg") >= measured(default, "ndcg")


def test_stored_latents_are_used_while_the_encoder_gives_the_same(
    celeba_root, tmp_path, monkeypatch
):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    space = open_space()
    first = encode_split(celeba_root, "test", space, quiet, 12)
    again: list[int] = []

    def count(faces):
        again.append(len(faces))
        return encode(faces)

    encode = space.encode
    monkeypatch.setattr(space, "encode", count)
    second = encode_split(celeba_root, "test", space, quiet, 12)
    np.testing.assert_array_equal(first.latent.values, second.latent.values)
    assert again == [8]
    monkeypatch.setattr(space, "encode", lambda faces: encode(faces[:, :, ::-1].copy()))
    upside_down = encode_split(celeba_root, "test", space, quiet, 12)
    assert np.abs(upside_down.latent.values - first.latent.values).max() > 0.1


def test_the_study_runs_on_real_photos(celeba_root, tmp_path):
    asked = retrieval.Options(queries=30, limit=60, train=160, steps=5, rounds=50)
    space, found = open_space(), open_directions("vae-128-basis")
    rows = retrieval.run(celeba_root, space, found, asked, tmp_path, quiet)
    assert [(r["protocol"], r["method"], r["k"]) for r in rows] == [
        (p, m, k) for p in ("Smiling", "random", "three") for m in retrieval.METHODS
        for k in (5, 10, 20)
    ]  # fmt: skip
    for row in rows:
        assert 0 < row["ndcg low"] <= row["ndcg"] <= row["ndcg high"] <= 1
        assert 0 <= row["adjusted"] <= 1
        assert 0 <= row["others"] <= 1
        ordered = row["method"] == "interfacegan" and row["protocol"] == "three"
        assert (row["spread"] > 0) == ordered
    smiling = {row["method"]: row["adjusted"] for row in rows if row["protocol"] == "Smiling"}
    assert smiling["adjusted preferred"] > smiling["euclidean"]
    table = list(csv.DictReader((tmp_path / "retrieval.csv").open()))
    assert [float(row["ndcg"]) for row in table] == [row["ndcg"] for row in rows]
    text = (tmp_path / "retrieval.md").read_text()
    assert [line for line in text.splitlines() if line[0:1] == "#"] == [
        "## Top 5", "## Top 10", "## Top 20",
    ]  # fmt: skip
    weights = list(csv.DictReader((tmp_path / "preferences.csv").open()))
    assert len(weights) == 3 * len(retrieval.OURS) * len(found.names)
    assert all(float(row["alone"]) >= 0 and float(row["adjusted"]) >= 0 for row in weights)
    assert (tmp_path / "retrieval.png").read_bytes().startswith(b"\x89PNG")


def test_a_basis_of_another_space_is_refused_before_anything_is_read(tmp_path):
    found = open_directions("stylegan2-64-basis")
    with pytest.raises(SpaceMismatch, match=r"the basis is in w\+ of stylegan2-64@.*vae-128@"):
        retrieval.run(
            tmp_path / "none", open_space(), found, retrieval.Options(), tmp_path / "out", quiet
        )
    assert not (tmp_path / "out").exists()

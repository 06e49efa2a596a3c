"""The retrieval study's numbers against loops over a toy gallery."""

from pathlib import Path

import numpy as np
import pytest

from mien.directions import open_directions
from mien.faces.celeba import CelebA
from mien.generators import open_space
from mien.studies import retrieval
from mien.studies._split import Split
from mien.types import Attributes, Directions, Latent

NAMES = ("Smiling", "Male", "Young")


@pytest.fixture
def split():
    random = np.random.default_rng(0)
    labels = random.choice([-1, 1], (60, 3)).astype(np.int8)
    values = random.normal(size=(60, 8)).astype(np.float32)
    values[:, :3] += 2 * labels
    data = CelebA(tuple(map(Path, map(str, range(60)))), Attributes(NAMES, labels), np.arange(60))
    return Split(data, np.zeros((60, 4, 4, 3), np.uint8), Latent(values, "z", "toy@0"))


@pytest.fixture
def basis():
    vectors = np.eye(8, 3, dtype=np.float32)
    three = np.zeros(3, np.float32)
    return Directions(NAMES, vectors, three, three - 2, three + 2, three + 4, "z", "toy@0", True)


def test_smiling_is_asked_of_faces_that_do_not_smile(split, basis):
    task = retrieval.make_task(split, basis, "Smiling", retrieval.Options(queries=20))
    labels = split.attributes.table
    assert (labels[task.rows, 0] == -1).all()
    assert (task.wanted[:, 0] == 1).all()
    assert np.isnan(task.wanted[:, 1:]).all()
    assert len(set(task.rows)) == len(task.rows) == 20


def test_random_flips_one_attribute_a_query(split, basis):
    task = retrieval.make_task(split, basis, "random", retrieval.Options(queries=50))
    assert ((~np.isnan(task.wanted)).sum(axis=1) == 1).all()
    places = np.arange(50)
    old = split.attributes.table[task.rows, task.columns]
    assert (task.wanted[places, task.columns] == (old < 0)).all()
    assert len(set(task.columns)) == 3


@pytest.mark.parametrize("method", retrieval.METHODS)
def test_order_is_that_of_the_written_out_distance(split, basis, method):
    task = retrieval.make_task(split, basis, "random", retrieval.Options(queries=10))
    preference = retrieval.PLAIN
    if method == "preferences chosen":
        preference = retrieval.Preference(attributes=3.0, adjusted=5.0)
    order = retrieval.rank_queries(split, basis, task, method, preference)
    values = split.latent.values.astype(float)
    for place, row in enumerate(task.rows):
        query, weights = values[row].copy(), np.ones(8)
        if method != "euclidean":
            column = task.columns[place]
            query[column] = 2 if task.wanted[place, column] else -2
        if method == "preferences chosen":
            weights[:3] = 3
            weights[column] = 15
        distance = (weights * (query - values) ** 2).sum(axis=1)
        want = [n for n in np.argsort(distance) if n != row]
        assert list(order[place]) == want


def test_scores_are_those_of_loops(split, basis):
    task = retrieval.make_task(split, basis, "random", retrieval.Options(queries=12))
    order = retrieval.rank_queries(split, basis, task, "basis", retrieval.Preference())
    people = np.random.default_rng(1).normal(size=(60, 4))
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    rows = retrieval.score(order, split, basis, task, people)
    labels = split.attributes.table
    for row in rows:
        gains, adjusted, others, cosines = [], [], [], []
        for place, query in enumerate(task.rows):
            target, column = labels[query].copy(), task.columns[place]
            target[column] = -target[column]
            relevance = [(labels[n] == target).sum() for n in range(60) if n != query]
            best = sorted(relevance, reverse=True)[: row["k"]]
            top = order[place, : row["k"]]
            found = [(labels[n] == target).sum() for n in top]
            gains.append(
                sum(g / np.log2(i + 2) for i, g in enumerate(found))
                / sum(g / np.log2(i + 2) for i, g in enumerate(best))
            )
            for n in top:
                agree = labels[n] == target
                adjusted.append(agree[column])
                others.append(np.delete(agree, column).mean())
                cosines.append(people[n] @ people[query])
        assert row["ndcg"] == pytest.approx(np.mean(gains), abs=1e-6)
        assert row["adjusted"] == pytest.approx(np.mean(adjusted))
        assert row["others"] == pytest.approx(np.mean(others))
        assert row["identity"] == pytest.approx(np.mean(cosines), abs=1e-6)


def test_the_chosen_preference_is_the_best_of_the_grid(split, basis):
    asked = retrieval.Options(queries=15)
    chosen = retrieval.choose_preference(split, basis, "random", asked)
    task = retrieval.make_task(split, basis, "random", asked)

    def quality(candidate):
        order = retrieval.rank_queries(split, basis, task, "preferences chosen", candidate)
        return retrieval.score(order, split, basis, task, None)[1]["ndcg"]

    grid = [retrieval.Preference(a, b) for a in retrieval.GRID["attributes"]
            for b in retrieval.GRID["adjusted"]]  # fmt: skip
    assert quality(chosen) == pytest.approx(max(map(quality, grid)))


def test_the_study_runs_on_real_photos(celeba_root, tmp_path):
    asked = retrieval.Options(queries=40, limit=120)
    space, found = open_space(), open_directions("vae-128-basis")
    rows = retrieval.run(celeba_root, space, found, asked, tmp_path, lambda *_: None)
    assert len(rows) == 2 * 4 * 3
    for row in rows:
        assert 0 < row["ndcg"] <= 1
        assert 0 <= row["adjusted"] <= 1
        assert 0 <= row["others"] <= 1
    by_method = {row["method"]: row for row in rows if row["protocol"] == "Smiling"}
    smiling = {method: row["adjusted"] for method, row in by_method.items()}
    assert smiling["adjusted preferred"] > smiling["euclidean"]
    table = (tmp_path / "retrieval.csv").read_text().splitlines()
    assert table[0] == ",".join(rows[0])
    assert len(table) == 1 + len(rows)
    assert (tmp_path / "retrieval.png").read_bytes().startswith(b"\x89PNG")

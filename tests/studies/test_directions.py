"""The directions study on a linear toy whose rescoring matrix is known in closed form."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from mien.cli.finders import named
from mien.directions import SampleOptions, labelled_samples, mean_difference
from mien.directions.contract import Labelled
from mien.errors import BadInput
from mien.studies import directions as study
from mien.studies._candidates import fitted, held_out, with_lengths
from mien.studies._verdict import correlation, effect_of, pair_rows, ranking
from mien.types import Attributes, Latent
from tests.directions.toys import directions, latent

NAMES = ("Bald", "Male", "Smiling")


class Space:
    """Latents of 12 numbers are faces of 2x2 pixels."""

    mark, size = "toy@0", 2

    def decode(self, latents):
        return np.clip(latents.values.reshape(-1, 3, 2, 2), -1, 1)


class Reader:
    """Reads three pixels: all of Bald, half of Male, all of Smiling."""

    names, size = NAMES, 2

    def probabilities(self, faces):
        flat = faces.reshape(len(faces), -1)[:, :3] * (0.5, 0.25, 0.5)
        return (flat + 0.5).astype(np.float32)


def embed(faces):
    """Two numbers at unit length: how bright the first pixel is, and a constant."""
    first = np.stack([faces[:, 0, 0, 0], np.ones(len(faces))], axis=1)
    return first / np.linalg.norm(first, axis=1, keepdims=True)


def held(count=40, seed=0):
    values = np.random.default_rng(seed).uniform(-0.4, 0.4, (count, 12))
    table = np.where(values[:, :3] > 0, 1, -1).astype(np.int8)
    return Labelled(latent(values), Attributes(NAMES, table))


def bench():
    return study.Bench(Space(), Reader(), held(), embed)


def mixed():
    """Bald drags Male along: a direction with equal parts of both."""
    columns = np.zeros((12, 3))
    columns[0, 0] = columns[1, 0] = columns[1, 1] = columns[2, 2] = 1
    found = directions(columns)
    return replace(found, names=NAMES, unit=np.full(3, 0.5, np.float32))


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    parts = replace(directions(np.eye(12)[:, [2, 5]]), names=("component_0", "component_1"))
    candidates = [study.Candidate("mixed", mixed()), study.Candidate("parts", parts)]
    options = study.Options(faces=20, identity=5, component_amount=0.2)
    told = []
    made = study.run(candidates, bench(), options, folder, lambda *a: told.append(a))
    assert [row[:2] for row in told] == [(n, 5) for n in range(5)]
    return made, folder


def test_the_matrix_is_that_of_the_linear_reader(report):
    made = report[0]["rescoring"]["mixed"]
    assert (made["rows"], made["columns"]) == (list(NAMES), list(NAMES))
    half = np.sqrt(0.5) * 0.5
    want = [[half * 0.5, half * 0.25, 0], [0, 0.125, 0], [0, 0, 0.25]]
    np.testing.assert_allclose(made["values"], want, atol=1e-4)


def test_the_entangled_pair_is_named(report):
    [pair] = report[0]["pairs"]
    assert (pair["finder"], pair["a"], pair["b"]) == ("mixed", "Bald", "Male")
    assert pair["cosine"] == pytest.approx(np.sqrt(0.5), abs=1e-4)
    assert pair["a moves b"] == pytest.approx(np.sqrt(0.5) * 0.125, abs=1e-4)
    assert pair["b moves a"] == pytest.approx(0, abs=1e-6)
    assert abs(pair["data"]) < 0.4


def test_rows_carry_separability_and_identity(report):
    rows = {row["attribute"]: row for row in report[0]["attributes"]}
    assert list(rows) == list(NAMES)
    assert rows["Smiling"]["accuracy"] == rows["Smiling"]["balanced"] == 1
    assert 0.4 < rows["Bald"]["accuracy"] < 1
    assert rows["Smiling"]["identity"] == pytest.approx(1)
    assert rows["Bald"]["identity"] < 0.99
    assert rows["Smiling"]["purity"] == pytest.approx(1)
    assert rows["Bald"]["purity"] == pytest.approx(0.8)
    assert rows["Bald"]["drags"] == "Male +0.09"


def test_components_are_named_by_what_they_move(report):
    first, second = report[0]["components"]
    assert (first["component"], first["moves"]) == ("component_0", "Smiling")
    assert first["effect"] == pytest.approx(0.1, abs=1e-3)
    assert second["effect"] == pytest.approx(0, abs=1e-6)


def test_what_is_written_agrees_with_what_is_returned(report):
    made, folder = report
    stored = json.loads((folder / "directions.json").read_text())
    assert stored["rescoring"] == made["rescoring"]
    with (folder / "attributes.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [float(row["effect"]) for row in rows] == [row["effect"] for row in made["attributes"]]
    text = (folder / "directions.md").read_text()
    for title in study.TITLES.values():
        assert f"## {title}" in text
    for name in ("rescoring-mixed", "cosines-mixed", "rescoring-parts", "cosines-parts"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_unlabelled_attributes_are_null_in_json(tmp_path):
    known = held()
    unknown = replace(known, attributes=Attributes(NAMES, 0 * known.attributes.table))
    made = study.run(
        [study.Candidate("a", mixed())], study.Bench(Space(), Reader(), unknown, embed),
        study.Options(faces=4, identity=1), tmp_path, lambda *_: None,
    )  # fmt: skip
    assert np.isnan(made["attributes"][0]["accuracy"])
    stored = json.loads((tmp_path / "directions.json").read_text())
    assert stored["attributes"][0]["accuracy"] is None


def test_nothing_to_judge(tmp_path):
    with pytest.raises(BadInput, match="nothing to judge"):
        study.run([], bench(), study.Options(), tmp_path, lambda *_: None)


def test_verdicts():
    columns = ("A", "B", "C")
    clean = effect_of(np.array([0.8, 0.1, -0.1]), "A", columns)
    dragging = effect_of(np.array([0.5, 0.1, -0.6]), "A", columns)
    weak = effect_of(np.array([0.1, 0.0, 0.0]), "A", columns)
    assert [e.verdict for e in (clean, dragging, weak)] == ["clean", "drags C -0.60", "weak"]
    nameless = effect_of(np.array([0.1, 0.0, -0.6]), "component_3", columns)
    assert (nameless.attribute, nameless.effect, nameless.other) == ("C", 0.6, "A")
    [row] = ranking({"x": {"A": weak}, "y": {"A": clean}, "z": {"A": dragging}})
    assert row["best"] == "y"
    assert [part.split()[1] for part in row["ranking"].split("; ")] == ["y", "z", "x"]


def test_pairs_need_both_directions():
    table = np.array([[1, 1], [-1, -1], [1, 1], [-1, 1], [0, 1]], np.int8)
    labels = Attributes(("Bald", "Male"), table)
    assert correlation(labels, "Bald", "Male") == pytest.approx(np.corrcoef(table[:4].T)[0, 1])
    assert np.isnan(correlation(labels, "Bald", "Young"))
    assert np.isnan(correlation(Attributes(("Bald", "Male"), 0 * table), "Bald", "Male"))
    names = (("Bald",), ("Bald", "Male"))
    assert pair_rows("x", np.zeros((1, 2)), np.eye(1), names, labels) == []


def test_no_face_is_both_fitted_to_and_judged_by():
    data = held(50)
    train, judged = held_out(data, seed=1)
    assert (len(train.latent), len(judged.latent)) == (40, 10)
    both = np.concatenate([train.latent.values, judged.latent.values])
    assert len(np.unique(both, axis=0)) == 50
    with pytest.raises(BadInput, match="too few"):
        held_out(held(2))


def test_all_finders_move_the_same_length_for_an_attribute():
    data = held(200)
    texts = ("mean_difference", "ridge", "pca:components=3")
    asked = [(n.text, n.part, n.options) for n in map(named, texts)]
    *labelled, components = fitted(asked, data, 2.0, lambda *_: None)
    for column in range(3):
        labels = data.attributes.table[:, column]
        sides = [data.latent.values[labels == sign].mean(axis=0) for sign in (1, -1)]
        for candidate in labelled:
            length = candidate.directions.unit[column]
            assert length == pytest.approx(2 * np.linalg.norm(sides[0] - sides[1]), rel=1e-4)
    assert components.directions.unit[0] == pytest.approx(
        data.latent.values.astype(float).std(axis=0).max(), rel=0.5
    )
    again = with_lengths(replace(mixed(), unit=np.ones(3, np.float32)), data, 2.0)
    np.testing.assert_array_equal(again.unit, 1)  # no range, so a unit of its own


def test_rare_attributes_are_left_out_of_a_comparison():
    data = held(60)
    table = data.attributes.table.copy()
    table[:, 0] = -1
    rare = replace(data, attributes=Attributes(NAMES, table))
    [found] = fitted(
        [("md", mean_difference, mean_difference.Options())], rare, 1.0, lambda *_: None
    )
    assert found.directions.names == ("Male", "Smiling")


class Layered(Space):
    """W+ latents of 3 rows with 12 numbers; faces are the mean of the rows."""

    space = "w+"

    def sample(self, count, seed=0, truncation=1.0):
        w = np.random.default_rng(seed).uniform(-0.4, 0.4, (count, 1, 12)) * truncation
        return Latent(np.repeat(w, 3, axis=1).astype(np.float32), "w+", "toy@0")

    def decode(self, latents):
        return np.clip(latents.values.mean(axis=1).reshape(-1, 3, 2, 2), -1, 1)

    def style_weights(self):
        return list(np.eye(12, dtype=np.float32)[None] * np.arange(1, 4)[:, None, None])


def test_every_finder_is_judged_in_w_plus_too(tmp_path):
    """What a StyleGAN2 needs: samples, labels by the recogniser, every kind of finder."""
    space = Layered()
    data = labelled_samples(space, Reader(), SampleOptions(300))
    train, judged = held_out(data)
    texts = ("mean_difference", "hyperplane:ratio=0.4", "pca:components=3", "sefa:components=2")
    asked = [named(text) for text in texts]
    found = fitted([(n.text, n.part, n.options) for n in asked], train, 1.0, lambda *_: None)
    made = study.run(
        found, study.Bench(space, Reader(), judged, embed), study.Options(faces=10, identity=2),
        tmp_path, lambda *_: None,
    )  # fmt: skip
    rows = {(row["finder"], row["attribute"]): row for row in made["attributes"]}
    assert len(rows) == 2 * 3
    assert len(made["components"]) == 3 + 2
    for (_, name), row in rows.items():
        assert row["balanced"] > 0.9
        assert row["effect"] > (0.04 if name == "Male" else 0.09)
        assert row["purity"] > 0.8
    assert (tmp_path / "rescoring-hyperplane-ratio-0.4.png").is_file()

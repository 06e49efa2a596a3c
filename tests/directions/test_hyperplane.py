"""The hyperplane against numbers of the original code, and on faces with known boundaries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.directions import hyperplane
from mien.directions.hyperplane import Options, fit, select
from mien.errors import BadInput, UnknownName
from mien.types import Latent
from tests.directions.toys import correlated, labelled
from tests.parity import fill

PARITY = Path(__file__).resolve().parents[1] / "parity"
PARTS = ("train", "held", "remaining")


@pytest.fixture(scope="module")
def fixture():
    return fill.load(PARITY / "interfacegan_manipulator")


@pytest.mark.parametrize("case", ["all", "split", "num", "invalid"])
def test_equals_the_original(fixture, case):
    config = fixture.manifest["config"]
    options = Options(
        ratio=config["num"] if case == "num" else config["ratio"],
        train=config["split"] if case == "split" else 1.0,
        invalid=config["invalid"] if case == "invalid" else None,
        seed=config["shuffle_seed"],
    )
    key = "scores_invalid" if case == "invalid" else "scores"
    scores = fixture.input(key)[:, 0].astype(np.float64)
    latents = fixture.input("latents")
    selection = select(scores, options)
    counts = [[len(side) for side in getattr(selection, part)] for part in PARTS]
    np.testing.assert_array_equal(counts, fixture.output(f"counts_{case}"))
    normal, bias, converged = fit(latents, selection, options)
    assert converged
    assert fixture.check(f"boundary_{case}", normal[None].astype(np.float32))[1]
    want = fixture.output(f"boundary_{case}")[0]
    assert normal @ want / np.linalg.norm(want) > 0.9999
    notes = hyperplane._accuracy(latents @ normal + bias, selection)
    got = [[notes[p]["correct"], notes[p]["faces"]] for p in PARTS[1:] if notes[p]["faces"]]
    assert fixture.check(f"accuracy_{case}", got)[1]


@settings(max_examples=25)
@given(st.integers(4, 200), st.floats(0.001, 1), st.floats(0.1, 1), st.integers(0, 1000))
def test_every_face_is_in_one_part_and_sides_do_not_overlap(count, ratio, train, seed):
    scores = np.random.default_rng(seed).normal(size=count)
    chosen = select(scores, Options(ratio=ratio, train=train))
    rows = np.concatenate([side for part in PARTS for side in getattr(chosen, part)])
    assert sorted(rows) == list(range(count))
    have, lack = (np.concatenate([chosen.train[s], chosen.held[s]]) for s in (0, 1))
    assert len(have) == len(lack) == min(int(ratio * count), count // 2)
    if len(have):
        assert scores[have].min() > scores[lack].max()


def test_unknown_scores_take_no_part():
    scores = np.array([0.1, np.nan, 0.9, 5, 0.4, 0.6])
    chosen = select(scores, Options(ratio=1, train=1, invalid=5))
    rows = np.concatenate([side for part in PARTS for side in getattr(chosen, part)])
    assert sorted(rows) == [0, 2, 4, 5]


def offset(count=2000, size=5, seed=0):
    """Faces far from the origin, told apart by axis 0 at 10."""
    values = np.random.default_rng(seed).normal(10, 1, (count, size))
    return labelled(values, np.where(values[:, :1] > 10, 1, -1))


def test_the_bias_is_kept_for_hyperplanes_off_the_origin():
    found = hyperplane.find(offset(), Options(ratio=0.4))
    assert abs(found.vectors[0, 0]) > 0.99
    np.testing.assert_allclose(found.bias[0], -10 * found.vectors.sum(), rtol=0.02)
    notes = found.provenance["accuracy"]["A"]
    assert notes["held"]["accuracy"] > 0.98
    assert notes["remaining"]["accuracy"] > 0.98
    assert notes["train"]["faces"] == 2 * int(2000 * 0.4 * 0.7)


def test_scores_choose_the_faces_and_the_sign():
    data = offset()
    scores = -data.latent.values[:, :1].astype(np.float64)
    found = hyperplane.find(replace(data, scores=scores), Options(ratio=0.1))
    assert found.vectors[0, 0] < -0.99  # towards high scores, whatever the labels say


def test_no_more_are_chosen_than_the_rarer_label_has():
    data = offset(1000)
    table = np.where(data.latent.values[:, :1] > 11.5, 1, -1)  # about 7 %
    rare = int((table > 0).sum())
    for scores in (None, data.latent.values[:, :1].astype(np.float64)):
        known = replace(labelled(data.latent.values, table), scores=scores)
        notes = hyperplane.find(known, Options(ratio=0.3, train=1)).provenance["accuracy"]["A"]
        assert notes["train"]["faces"] == 2 * rare


def test_repeated_rows_are_one_w():
    data = offset()
    plus = Latent(np.repeat(data.latent.values[:, None], 3, axis=1), "z", "toy@0")
    found = hyperplane.find(replace(data, latent=plus), Options(ratio=0.2))
    single = hyperplane.find(data, Options(ratio=0.2))
    np.testing.assert_allclose(found.vectors, np.tile(single.vectors, (3, 1)) / np.sqrt(3))
    np.testing.assert_allclose(
        plus.flat @ found.vectors + found.bias,
        np.sqrt(3) * (data.latent.flat @ single.vectors + single.bias), rtol=1e-3, atol=1e-3,
    )  # fmt: skip


def test_truncated_rows_are_one_w_and_keep_their_sides():
    data = offset()
    w, average = data.latent.values, np.full(5, 3, np.float32)
    factors = np.array([0.7, 0.7, 1.0], np.float32)[:, None]
    plus = Latent(average + factors * (w[:, None] - average), "z", "toy@0")
    found = hyperplane.find(replace(data, latent=plus), Options(ratio=0.2))
    single = hyperplane.find(data, Options(ratio=0.2))
    np.testing.assert_allclose(found.vectors, np.tile(single.vectors, (3, 1)) / np.sqrt(3))
    sides = np.sign(plus.flat @ found.vectors + found.bias)
    want = np.sign(data.latent.flat @ single.vectors + single.bias)
    assert (sides == want).mean() > 0.999
    inside = (plus.flat @ found.vectors > found.low) & (plus.flat @ found.vectors < found.high)
    assert inside.mean() > 0.99


def test_rows_of_their_own_are_not_one_w():
    data = offset(count=300)
    rows = np.random.default_rng(1).normal(size=(300, 2, 5)).astype(np.float32)
    rows[:, 1] += data.latent.values - 10
    found = hyperplane.find(replace(data, latent=Latent(rows, "z", "toy@0")), Options(ratio=0.4))
    assert np.linalg.norm(found.vectors[5:]) > 2 * np.linalg.norm(found.vectors[:5])


def test_squared_hinge_finds_nearly_the_same():
    one = hyperplane.find(correlated(), Options(ratio=0.3))
    two = hyperplane.find(correlated(), Options(ratio=0.3, loss="squared_hinge"))
    assert (one.vectors * two.vectors).sum(axis=0).min() > 0.98


def test_too_few_faces():
    data = offset(100)
    with pytest.raises(BadInput, match="A has 1 faces to train with"):
        hyperplane.find(data, Options(ratio=0.02))
    with pytest.raises(BadInput, match="no attribute has enough"):
        hyperplane.find(data, Options(ratio=0.02, skip_rare=True))
    one_sided = labelled(data.latent.values, np.ones((100, 1)))
    with pytest.raises(BadInput, match="A has 0 faces"):
        hyperplane.find(one_sided, Options(ratio=0.5))
    same = labelled(np.ones((100, 3)), data.attributes.table)
    with pytest.raises(BadInput, match="latents are all alike"):
        hyperplane.find(same, Options(ratio=0.4))


def test_options_that_make_no_sense():
    with pytest.raises(UnknownName, match="did you mean hinge"):
        Options(loss="hing")
    for wrong in ({"ratio": 0}, {"train": 0}, {"train": 1.5}, {"C": -1}):
        with pytest.raises(BadInput, match=f"{next(iter(wrong))}="):
            Options(**wrong)

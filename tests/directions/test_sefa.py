"""SeFa against numbers of the original code, and against what it maximises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.directions import edit, sefa
from mien.directions._layers import layer_set
from mien.directions.contract import unlabelled
from mien.errors import BadInput, UnknownName
from mien.types import Latent
from tests.directions.toys import Affine
from tests.parity import fill

PARITY = Path(__file__).resolve().parents[1] / "parity"
SETS = {"all": "all", "range": "0-2", "list": "1,3,4-5"}
CASES = [("pggan", "all")] + [(m, s) for m in ("stylegan", "stylegan2") for s in SETS]


@pytest.fixture(scope="module")
def fixture():
    return fill.load(PARITY / "sefa_factorize")


def weights_of(module, state):
    """One matrix [outputs, D] a row of w+, from the original's keys."""
    if module == "pggan":
        first = state["layer0.weight"][:, :, ::-1, ::-1]
        return [first.transpose(0, 2, 3, 1).reshape(-1, first.shape[1])]
    keys = [key for key in state if key.endswith(".style.weight")]
    layers = sorted((k for k in keys if ".layer" in k), key=lambda k: int(k.split(".")[1][5:]))
    last = [f"synthesis.output{len(layers) // 2}.style.weight"] if module == "stylegan2" else []
    return [state[key] for key in layers + last]


@pytest.mark.parametrize(("module", "chosen"), CASES)
def test_equals_the_original_sorted_by_eigenvalue(fixture, module, chosen):
    weights = weights_of(module, fixture.state(module))
    layers = layer_set(SETS[chosen], len(weights))
    np.testing.assert_array_equal(layers, fixture.output(f"{module}.{chosen}.layers"))
    values, vectors = sefa.factorise([weights[layer] for layer in layers])
    boundaries = fixture.output(f"{module}.{chosen}.boundaries")
    assert fixture.check(f"{module}.{chosen}.values", values)[1]
    assert fixture.check(f"{module}.{chosen}.boundaries", vectors.T[: len(boundaries)])[1]


@pytest.mark.parametrize(("module", "chosen"), CASES)
def test_published_order_is_that_of_the_general_solver(fixture, module, chosen):
    weights = weights_of(module, fixture.state(module))
    layers = layer_set(SETS[chosen], len(weights))
    options = sefa.Options(order="published")
    values, vectors = sefa.factorise([weights[layer] for layer in layers], options)
    np.testing.assert_allclose(  # the order itself is the solver's and may differ elsewhere
        np.sort(values), np.sort(fixture.output(f"info_values_raw_{module}.{chosen}")), rtol=1e-4
    )
    sorted_values, sorted_vectors = sefa.factorise([weights[layer] for layer in layers])
    order = np.argsort(-values)
    np.testing.assert_allclose(values[order], sorted_values, rtol=1e-4)
    cosines = np.abs((vectors[:, order] * sorted_vectors).sum(axis=0))
    assert cosines[:16].min() > 0.999


def test_no_other_direction_moves_the_outputs_more():
    random = np.random.default_rng(0)
    weights = [random.normal(size=(9, 7)), random.normal(size=(5, 7))]
    values, vectors = sefa.factorise(weights, sefa.Options(normalise=False))

    def effect(n):
        return sum(float(np.sum((weight @ n) ** 2)) for weight in weights)

    others = random.normal(size=(500, 7))
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    assert max(map(effect, others)) <= effect(vectors[:, 0]) == pytest.approx(values[0])
    assert min(map(effect, others)) >= effect(vectors[:, -1]) == pytest.approx(values[-1])


def test_channels_count_alike_unless_told_otherwise():
    weight = np.random.default_rng(1).normal(size=(20, 5))
    scale = np.random.default_rng(2).uniform(0.1, 10, (20, 1))
    np.testing.assert_allclose(
        sefa.factorise([weight])[1], sefa.factorise([weight * scale])[1], atol=1e-9
    )
    assert sefa.factorise([weight])[0].sum() == pytest.approx(20)
    plain = sefa.Options(normalise=False)
    np.testing.assert_allclose(
        sefa.factorise([weight], plain)[1][:, 0],
        np.abs(np.linalg.svd(weight)[2][0]) * np.sign(sefa.factorise([weight], plain)[1][:, 0]),
        atol=1e-9,
    )


def w_plus(rows=6, size=8, count=3):
    values = np.random.default_rng(3).normal(size=(count, rows, size)).astype(np.float32)
    return Latent(values, "w+", "toy@0")


@pytest.mark.parametrize("layers", ["all", "0-2", "1,3,4-5"])
def test_an_amount_moves_the_chosen_rows_by_it_and_no_other(layers):
    latent, source = w_plus(), Affine(8, rows=6)
    found = sefa.find(unlabelled(latent, source), sefa.Options(layers=layers, components=3))
    moved = edit(latent, found, {"component_1": 2.5}).values - latent.values
    rows = layer_set(layers, 6)
    vectors = sefa.factorise([source.weights[row] for row in rows])[1]
    want = np.zeros_like(moved)
    want[:, list(rows)] = 2.5 * vectors[:, 1]
    np.testing.assert_allclose(moved, want, atol=1e-5)
    assert found.provenance["rows"] == list(rows)


def test_what_cannot_be_factorised():
    latent = w_plus()
    with pytest.raises(BadInput, match="toy@0 has no style layers"):
        sefa.find(unlabelled(latent))
    with pytest.raises(BadInput, match="the space has 4 style layers"):
        sefa.find(unlabelled(latent, Affine(8, rows=4)))
    with pytest.raises(BadInput, match="no layer 6"):
        sefa.find(unlabelled(latent, Affine(8, rows=6)), sefa.Options(layers="3-6"))
    with pytest.raises(BadInput, match="at most that many"):
        sefa.find(unlabelled(latent, Affine(8, rows=6)), sefa.Options(components=9))
    with pytest.raises(BadInput, match="style weight holds NaN"):
        sefa.factorise([np.full((3, 2), np.nan)])
    with pytest.raises(UnknownName, match="did you mean published"):
        sefa.Options(order="publishd")

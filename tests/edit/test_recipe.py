import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.directions import edit
from mien.edit.recipe import Recipe
from mien.errors import BadInput, UnknownName
from tests.directions.toys import directions, latent

NAMES = st.lists(st.text(min_size=1), unique=True, max_size=6)


@given(NAMES, st.data())
@settings(max_examples=30, deadline=None)
def test_a_recipe_survives_the_way_through_json(names, data):
    kinds = [data.draw(st.sampled_from(["set", "move", "hold"])) for _ in names]
    presence, amount = st.floats(0, 1), st.floats(-9, 9)
    chosen = {kind: [n for n, k in zip(names, kinds, strict=True) if k == kind] for kind in kinds}
    recipe = Recipe(
        space=data.draw(st.text()),
        directions="vae-128-directions",
        set={name: data.draw(presence) for name in chosen.get("set", [])},
        move={name: data.draw(amount) for name in chosen.get("move", [])},
        hold=tuple(chosen.get("hold", [])),
    )
    text = recipe.to_json()
    assert "\n" not in text
    assert json.loads(text)["version"] == 1
    assert Recipe.from_json(text) == recipe
    assert Recipe.from_json(text.encode()).to_json() == text


def test_amounts_are_what_is_missing_and_what_is_moved():
    recipe = Recipe("s", "d", set={"Smiling": 1}, move={"Male": -0.5})
    assert recipe.amounts({"Smiling": 0.25, "Male": 0.9}) == {"Smiling": 0.75, "Male": -0.5}


def test_layers_and_distances_travel_too():
    recipe = Recipe("s", "d", to={"Smiling": -1.5}, layers="0-3,5")
    values = json.loads(recipe.to_json())
    assert values["to"] == {"Smiling": -1.5}
    assert values["layers"] == "0-3,5"
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert {"to", "layers"}.isdisjoint(json.loads(Recipe("s", "d").to_json()))


def test_distances_come_on_top_of_relative_amounts():
    found = directions(np.random.default_rng(0).normal(size=(6, 3)))
    faces = latent(np.random.default_rng(1).normal(size=(2, 6)))
    recipe = Recipe("s", "d", move={"A": 2}, to={"B": 0.5}, hold=("C",))
    amounts = recipe.with_distances(faces, found, recipe.amounts({}))
    after = edit(faces, found, amounts, recipe.hold)
    np.testing.assert_allclose(after.values @ found.vectors[:, 1] + found.bias[1], 0.5, atol=1e-4)
    assert amounts["A"] == 2


PLAIN = {"version": 1, "space": "s", "directions": "d"}


def test_what_is_left_out_is_empty():
    assert Recipe.from_json(json.dumps(PLAIN)) == Recipe("s", "d")


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"hodl": ["Male"]}, UnknownName, "did you mean hold"),
        ({"version": 2}, BadInput, "version 2, this mien reads version 1"),
        ({"version": True}, BadInput, "version True"),
        ({"space": 3}, BadInput, "no space"),
        ({"directions": None}, BadInput, "no directions"),
        ({"set": ["Smiling"]}, BadInput, "set of the recipe"),
        ({"move": 3}, BadInput, "move of the recipe"),
        ({"hold": "Male"}, BadInput, "hold of the recipe"),
        ({"hold": [1]}, BadInput, "hold of the recipe"),
        ({"set": {"Smiling": 1.5}}, BadInput, "presence from 0 to 1"),
        ({"set": {"Smiling": "1"}}, BadInput, "presence from 0 to 1"),
        ({"move": {"Smiling": float("nan")}}, BadInput, "a number of units"),
        ({"move": {"Smiling": 10**400}}, BadInput, "a number of units"),
        ({"move": {"Smiling": False}}, BadInput, "a number of units"),
        ({"set": {"Male": 1}, "hold": ["Male"]}, BadInput, "Male appears twice"),
        ({"set": {"Male": 1}, "move": {"Male": 1}}, BadInput, "Male appears twice"),
        ({"hold": ["Male", "Male"]}, BadInput, "Male appears twice"),
        ({"to": {"Male": 1}, "move": {"Male": 1}}, BadInput, "Male appears twice"),
        ({"to": 3}, BadInput, "to of the recipe"),
        ({"to": {"Male": "far"}}, BadInput, "expected a distance"),
        ({"layers": 3}, BadInput, "layers of the recipe"),
        ({"layers": "3..5"}, BadInput, "numbers and ranges"),
    ],
)
def test_what_is_no_recipe(changes, error, words):
    with pytest.raises(error, match=words):
        Recipe.from_json(json.dumps({**PLAIN, **changes}))


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "[" * 100_000, b"\xff\xfe\xfd"])
def test_text_that_is_no_json_object(text):
    with pytest.raises(BadInput, match="the recipe is not"):
        Recipe.from_json(text)


def test_a_recipe_without_version_is_refused():
    with pytest.raises(BadInput, match="version None"):
        Recipe.from_json("{}")

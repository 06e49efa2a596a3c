from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import BadInput, MienError, SpaceMismatch, UnknownName
from mien.search.query import check_query, moves, wanted, weights
from mien.types import Query
from tests.search.toys import basis, directions, latent

NAMED = directions(basis(0, 6, 3))
FACE = latent(np.ones((1, 6)))
PRESENCE = st.floats(0, 1)


def test_a_plain_query_is_accepted():
    check_query(Query(FACE, {"A0": 1, "A2": 0.25}, {"A1": 0, "A0": 7.5}, k=3), NAMED)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"adjust": {"A0": 1.01}}, r"adjust A0=1.01 .* in \[0, 1\]"),
        ({"adjust": {"A0": -0.1}}, r"adjust A0=-0.1 "),
        ({"adjust": {"A0": float("nan")}}, "adjust A0=nan "),
        ({"adjust": {"A0": "abc"}}, "adjust A0=abc "),
        ({"prefer": {"A1": -1}}, "prefer A1=-1 .* 0 or more"),
        ({"prefer": {"A1": float("nan")}}, "prefer A1=nan "),
        ({"prefer": {"A1": float("inf")}}, "prefer A1=inf "),
        ({"k": 0}, "k=0 .* at least 1"),
        ({"k": 2.5}, "k=2.5 "),
        ({"k": True}, "k=True "),
        ({"latent": latent(np.ones((2, 6)))}, "one face, got 2"),
        ({"latent": latent(np.ones((1, 5)))}, "5 numbers, the directions 6"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_sentence(changes, sentence):
    with pytest.raises(BadInput, match=sentence) as caught:
        check_query(replace(Query(FACE), **changes), NAMED)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [{"adjust": {"A00": 1}}, {"prefer": {"A00": 1}}])
def test_a_misspelt_attribute_gets_a_suggestion(wrong):
    with pytest.raises(UnknownName, match="did you mean A0"):
        check_query(replace(Query(FACE), **wrong), NAMED)


def test_unknown_semantics_name_the_known_ones():
    with pytest.raises(UnknownName, match="set"):
        check_query(Query(FACE, semantics="put"), NAMED)


def test_another_space_is_refused():
    with pytest.raises(SpaceMismatch, match="other@9"):
        check_query(Query(replace(FACE, model="other@9")), NAMED)


def test_directions_that_are_no_basis_are_refused():
    with pytest.raises(BadInput, match="basis"):
        check_query(Query(FACE), replace(NAMED, orthonormal=False))


def test_names_become_rows():
    query = Query(FACE, {"A2": 0.5}, {"A0": 0})
    np.testing.assert_array_equal(wanted(query, NAMED), [np.nan, np.nan, 0.5])
    np.testing.assert_array_equal(weights(query, NAMED), [0, 1, 1])


@settings(deadline=None)
@given(PRESENCE, st.floats(-50, 50))
def test_set_reaches_the_wanted_coordinate_from_anywhere(presence, score):
    scores = np.array([[score, 0.0, 0.0]])
    reached = scores + moves(scores, np.array([[presence, np.nan, np.nan]]), NAMED, "set")
    np.testing.assert_allclose(reached, [[-2 + 5 * presence, 0, 0]], atol=1e-9)


@settings(deadline=None)
@given(PRESENCE, st.floats(-50, 50))
def test_add_moves_alike_from_anywhere(presence, score):
    asked = np.array([[presence, np.nan, np.nan]])
    here = moves(np.array([[score, 0.0, 0.0]]), asked, NAMED, "add")
    np.testing.assert_allclose(here, [[5 * presence - 2.5, 0, 0]], atol=1e-12)


def test_legacy_moves_only_for_exactly_0_and_1():
    asked = np.array([[1.0, 0.0, np.nan], [0.5, 1.0, 0.999]])
    scores = np.full((2, 3), 9.0)
    expected = [[3.0, -2.0, 0.0], [0.0, 3.0, 0.0]]
    np.testing.assert_allclose(moves(scores, asked, NAMED, "legacy"), expected)


def test_moves_refuse_unknown_semantics():
    with pytest.raises(MienError, match="semantics"):
        moves(np.zeros((1, 3)), np.zeros((1, 3)), NAMED, "put")

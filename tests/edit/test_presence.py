import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.edit.presence import amounts_for
from mien.errors import BadInput, UnknownName

SHARE = st.floats(0, 1)


@given(SHARE, SHARE)
def test_the_amount_is_what_is_missing(wanted, present):
    amount = amounts_for({"Smiling": wanted}, {"Smiling": present, "Male": 0.3})
    assert amount == {"Smiling": wanted - present}


@pytest.mark.parametrize("wrong", [1.01, -0.1, float("nan"), float("inf"), "abc", None, True])
def test_a_presence_lies_between_0_and_1(wrong):
    with pytest.raises(BadInput, match=r"Smiling is set to .* expected a presence from 0 to 1"):
        amounts_for({"Smiling": wrong}, {"Smiling": 0.5})


def test_a_misspelt_attribute_gets_a_suggestion():
    with pytest.raises(UnknownName, match="did you mean Smiling"):
        amounts_for({"Smilling": 1}, {"Smiling": 0.5})

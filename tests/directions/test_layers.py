import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.directions._layers import check_layers, layer_set
from mien.errors import BadInput


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("all", (0, 1, 2, 3, 4, 5)),
        ("0-2", (0, 1, 2)),
        ("1,3,4-5", (1, 3, 4, 5)),
        ("5,0", (0, 5)),
        ("2-4,3,3-5", (2, 3, 4, 5)),
    ],
)
def test_sets(text, want):
    assert layer_set(text, 6) == want


@given(st.sets(st.integers(0, 17), min_size=1))
def test_a_written_set_is_read_back(chosen):
    assert layer_set(",".join(map(str, chosen)), 18) == tuple(sorted(chosen))


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "0..3", "1,,2", "1;2", "0,", " 1", "99999"])
def test_other_forms_are_refused(text):
    with pytest.raises(BadInput, match="expected"):
        check_layers(text)


def test_layers_that_do_not_exist_or_run_backwards():
    with pytest.raises(BadInput, match="no layer 6; choose from 0 to 5"):
        layer_set("4-6", 6)
    with pytest.raises(BadInput, match="run backwards; write 2-4"):
        layer_set("4-2", 6)

from __future__ import annotations

import pytest

from mien.errors import BadInput
from mien.studies import basis, directions, editing, inversion, retrieval, samples, translation

STUDIES = (basis, directions, editing, inversion, retrieval, samples, translation)
WRONG = [
    (basis, "faces", (0, -1)),
    (basis, "reach", (float("nan"), -1.0)),
    (basis, "seed", (-1, 2**32)),
    (directions, "faces", (0,)),
    (directions, "amount", (float("inf"),)),
    (editing, "faces", (0, -3)),
    (editing, "strips", (0, -1)),
    (inversion, "photos", (0, -1)),
    (inversion, "faces", (0,)),
    (inversion, "batch", (0,)),
    (inversion, "descent", (0,)),
    (retrieval, "queries", (0, -5)),
    (retrieval, "steps", (0,)),
    (retrieval, "rounds", (0,)),
    (retrieval, "limit", (0, 1)),
    (retrieval, "train", (0, 1)),
    (samples, "samples", (-1, 1)),
    (samples, "size", (0,)),
    (translation, "photos", (0, -2)),
    (translation, "shares", (0,)),
    (translation, "each", (-1,)),
]


@pytest.mark.parametrize(
    ("study", "name", "value"), [(s, name, value) for s, name, values in WRONG for value in values]
)
def test_options_that_cannot_be_are_refused(study, name, value):
    with pytest.raises(BadInput, match=f"^{name}={value}: give "):
        study.Options(**{name: value})


@pytest.mark.parametrize("study", STUDIES)
def test_the_usual_options_can_be(study):
    study.Options()


def test_what_may_be_nothing_or_negative_is_not_refused():
    retrieval.Options(limit=None, train=2)
    directions.Options(amount=-1.0, identity=0, components=0)
    translation.Options(each=0, groups=())

"""bf16 stays near fp32, at the doors of every room."""

import numpy as np
import pytest

from mien.errors import UnknownName
from mien.generators import open_space
from mien.recognise.recogniser import open_recogniser
from mien.runtime.precision import precision


def test_bf16_stays_near_fp32():
    space, recogniser = open_space(), open_recogniser()
    latent = space.sample(8, seed=3)
    faces = space.decode(latent)
    codes, seen = space.encode(faces).values, recogniser.probabilities(faces)
    with precision("bf16"):
        near = space.decode(latent)
        near_codes, near_seen = space.encode(faces).values, recogniser.probabilities(faces)
    assert near.dtype == near_codes.dtype == near_seen.dtype == np.float32
    assert not np.array_equal(near, faces)
    assert np.square(near - faces).mean() < 4 * 10 ** (-35 / 10)  # PSNR above 35 dB
    assert np.abs(near_codes - codes).max() < 0.1
    assert np.abs(near_seen - seen).max() < 0.1


def test_other_precisions_are_refused():
    with pytest.raises(UnknownName, match="bf16"), precision("bf61"):
        pass

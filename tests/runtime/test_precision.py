"""bf16 stays near fp32, at the doors of every room."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mien.errors import UnknownName
from mien.generators import open_space
from mien.recognise.recogniser import open_recogniser
from mien.runtime.precision import autocast, has_bf16, precision, quickest


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


@pytest.mark.skipif(not Path("/proc/cpuinfo").is_file(), reason="Linux alone lists what a CPU has")
def test_trainings_use_bf16_where_the_kernel_lists_units_for_it():
    flags = Path("/proc/cpuinfo").read_text().split()
    assert has_bf16() == any(name in flags for name in ("amx_bf16", "avx512_bf16", "bf16"))
    x, w = torch.randn(1, 8, 8, 8), torch.randn(8, 8, 3, 3)
    with quickest():
        made = torch.conv2d(x, w)
    assert (made.dtype == torch.bfloat16) == has_bf16()
    for enabled in (False, True):
        with autocast(enabled):
            assert (torch.conv2d(x, w).dtype == torch.bfloat16) == enabled

"""The portrait that all moving pictures here are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def portrait(astronaut: Path) -> np.ndarray:
    from mien.faces.read import read_photo

    return read_photo(astronaut)

"""Paths that tests share: real photos beside the clone, and the public-domain portrait."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest


def _folder(root: Path, name: str) -> Path:
    if not (root / name).is_dir():
        pytest.skip(f"no real photos: {root / name} is missing (set MIEN_SHARED to their folder)")
    return root / name


@pytest.fixture(scope="session")
def shared_root() -> Path:
    """$MIEN_SHARED, or the folder `shared` beside the clone."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    root = Path(os.environ.get("MIEN_SHARED") or beside)
    return _folder(root.parent, root.name)


@pytest.fixture(scope="session")
def celeba_root(shared_root: Path) -> Path:
    """CelebA in its official layout."""
    return _folder(shared_root, "celeba")


@pytest.fixture(scope="session")
def portraits_root(shared_root: Path) -> Path:
    """Grey portraits, one face each, not aligned."""
    return _folder(shared_root, "portraits")


@pytest.fixture(scope="session")
def parity_root(shared_root: Path) -> Path:
    """All fixtures recorded from the original codes."""
    return _folder(shared_root, "parity")


@pytest.fixture(scope="session")
def astronaut() -> Path:
    """The public-domain portrait (512x512, one face) in scikit-image's data."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        pytest.skip("scikit-image is not installed")
    return Path(spec.origin).parent / "data" / "astronaut.png"

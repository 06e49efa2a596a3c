from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mien.directions import open_directions
from mien.search.gallery import Gallery
from tests.cli.conftest import Mien


def test_fits_the_difference_of_the_means(mien: Mien, toys: Path) -> None:
    gallery = Gallery.open(toys / "gallery")
    options = ("--attribute", "Smiling", "--option", "fewest=3", "--no-calibrate")
    result = mien("directions", "fit", toys / "gallery", "-o", "found", *options)
    assert result.exit_code == 0, result.output
    labels = gallery.attributes.column("Smiling")
    values = gallery.latent.values.astype(np.float64)
    difference = values[labels > 0].mean(axis=0) - values[labels < 0].mean(axis=0)
    expected = difference / np.linalg.norm(difference)
    found = open_directions(Path("found"))
    assert found.names == ("Smiling",)
    np.testing.assert_allclose(found.vectors[:, 0], expected, atol=1e-5)


def test_fitted_directions_edit(mien: Mien, toys: Path, astronaut: Path) -> None:
    options = ("--attribute", "Smiling", "--option", "fewest=3", "--no-calibrate")
    mien("directions", "fit", toys / "gallery", "-o", "found", *options)
    result = mien("edit", astronaut, "--move", "Smiling=1", "--directions", "found")
    assert result.exit_code == 0, result.output


def test_refuses(refused: Callable[..., str], toys: Path) -> None:
    fit = ("directions", "fit", toys / "gallery", "-o", "found")
    assert "did you mean mean_difference" in refused(*fit, "--method", "mean_diference")
    assert "did you mean fewest" in refused(*fit, "--option", "fewst=3")
    assert "'many' is not of type int" in refused(*fit, "--option", "fewest=many")
    assert "did you mean Smiling" in refused(*fit, "--attribute", "Smile")
    assert "fewer than 1000" in refused(*fit, "--option", "fewest=1000")
    assert "missing" in refused("directions", "fit", "missing", "-o", "found")
    assert not Path("found").exists()

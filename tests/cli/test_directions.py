from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mien.directions import SampleOptions, labelled_samples, mean_difference, open_directions
from mien.faces.celeba import NAMES
from mien.generators import open_space
from mien.recognise import recogniser
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


class Pixels:
    """A recogniser that sees attribute number n in a pixel of its own; the toy's sees nothing."""

    names, size = NAMES, 128

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        return (faces[:, 0, 64, : len(NAMES)] + 1) / 2


def test_fits_samples_that_the_recogniser_labels(
    mien: Mien, toys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recogniser, "open_recogniser", lambda *_: Pixels())
    data = labelled_samples(open_space(toys / "vae-128"), Pixels(), SampleOptions(40, seed=5))
    name = data.attributes.names[int(np.abs(data.attributes.table.sum(axis=0)).argmin())]
    options = ("--samples", "40", "--seed", "5", "--attribute", name, "--option", "fewest=3")
    result = mien("directions", "fit", "-o", "found", *options, "--no-calibrate")
    assert result.exit_code == 0, result.output
    want = mean_difference.find(data.select([name]), mean_difference.Options(fewest=3))
    np.testing.assert_allclose(open_directions(Path("found")).vectors, want.vectors, atol=1e-3)


def test_fits_components_without_labels(mien: Mien, toys: Path) -> None:
    options = ("--method", "pca", "--option", "components=3")
    assert mien("directions", "fit", "-o", "sampled", *options).exit_code == 0
    assert open_directions(Path("sampled")).names == ("component_0", "component_1", "component_2")
    assert mien("directions", "fit", toys / "gallery", "-o", "given", *options).exit_code == 0
    values = Gallery.open(toys / "gallery").latent.values.astype(np.float64)
    axis = np.linalg.svd(values - values.mean(axis=0))[2][0]
    found = open_directions(Path("given"))
    assert abs(found.vectors[:, 0] @ axis) > 0.999
    assert found.provenance["method"] == "pca"


def test_scores_of_the_photos_choose_the_faces(mien: Mien, toys: Path) -> None:
    options = ("--method", "hyperplane", "--option", "ratio=0.4", "--option", "fewest=3")
    fit = ("directions", "fit", toys / "gallery", "--attribute", "Smiling", "--no-calibrate")
    for name, more in (("labels", ()), ("scores", ("--scores",))):
        result = mien(*fit, "-o", name, *options, *more)
        assert result.exit_code == 0, result.output
    labels, scores = (open_directions(Path(name)) for name in ("labels", "scores"))
    assert abs(labels.vectors[:, 0] @ scores.vectors[:, 0]) < 0.99


def test_a_model_that_lies_in_the_folder_is_kept(
    mien: Mien, refused: Callable[..., str], toys: Path
) -> None:
    shutil.copytree(toys / "vae-128", "model")
    Path("file").write_text("a file")
    fit = ("directions", "fit", toys / "gallery", "--method", "pca", "--option", "components=3")
    assert "model holds a model already; choose another folder" in refused(*fit, "-o", "model")
    assert "file is a file; choose the name of a folder" in refused(*fit, "-o", "file")
    assert Path("model/card.json").read_bytes() == (toys / "vae-128/card.json").read_bytes()
    assert mien(*fit, "-o", "found").exit_code == 0
    assert "found holds a model already" in refused(*fit, "-o", "found")


def test_a_folder_below_a_file_is_refused_before_fitting(
    refused: Callable[..., str], toys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mean_difference, "find", lambda *_: pytest.fail("fitted"))
    Path("file").write_text("a file")
    sentence = refused("directions", "fit", toys / "gallery", "-o", "file/sub/found")
    assert "file is a file; choose the name of a folder" in sentence


def test_an_attribute_given_twice_is_fitted_once(mien: Mien, toys: Path) -> None:
    twice = ("--attribute", "Smiling", "--attribute", "Male", "--attribute", "Smiling")
    fit = ("directions", "fit", toys / "gallery", "-o", "found", "--no-calibrate")
    result = mien(*fit, *twice, "--option", "fewest=3")
    assert result.exit_code == 0, result.output
    assert open_directions(Path("found")).names == ("Smiling", "Male")


def test_a_gallery_of_another_space_is_refused(
    refused: Callable[..., str], toys: Path, other_space: Path
) -> None:
    fit = ("directions", "fit", toys / "gallery", "-o", "found", "--no-calibrate")
    sentence = refused(*fit, "--space", other_space, "--option", "fewest=3")
    assert "gallery holds faces of vae-128@" in sentence
    assert "is other@" in sentence
    assert not Path("found").exists()


@pytest.mark.parametrize(
    ("method", "option"),
    [
        ("pca", "components=0"), ("ridge", "shrinkage=2.5"), ("mean_difference", "fewest=-1"),
        ("decoded", "margin=nan"),
    ],
)  # fmt: skip
def test_numbers_that_cannot_be_are_refused_before_faces_are_drawn(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, method: str, option: str
) -> None:
    monkeypatch.setattr("mien.generators.open_space", lambda *_: pytest.fail("drawn"))
    sentence = refused("directions", "fit", "-o", "found", "--method", method, "--option", option)
    assert f"{option}: give " in sentence


def test_refuses(refused: Callable[..., str], toys: Path) -> None:
    fit = ("directions", "fit", toys / "gallery", "-o", "found")
    assert "did you mean mean_difference" in refused(*fit, "--method", "mean_diference")
    assert "did you mean fewest" in refused(*fit, "--option", "fewst=3")
    hyperplane = ("--method", "hyperplane", "--option", "invalid=none")
    assert "'none' is not of type float" in refused(*fit, *hyperplane)
    assert "'many' is not of type int" in refused(*fit, "--option", "fewest=many")
    assert "did you mean Smiling" in refused(*fit, "--attribute", "Smile")
    assert "fewer than 1000" in refused(*fit, "--option", "fewest=1000")
    assert "missing" in refused("directions", "fit", "missing", "-o", "found")
    sefa = ("directions", "fit", "-o", "found", "--method", "sefa")
    assert "no style layers" in refused(*sefa, "--option", "components=3")
    assert not Path("found").exists()

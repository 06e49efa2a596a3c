from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.directions import pca
from tests.cli.conftest import Mien

FEW = ("--option", "faces=3", "--option", "identity=1", "--method", "pca:components=2")


def test_directions_of_a_gallery_are_judged(mien: Mien, toys: Path) -> None:
    result = mien("study", "directions", "--gallery", toys / "gallery", *FEW, "--json", "-o", "out")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["held out"] == 6
    assert [row["component"] for row in report["components"]] == ["component_0", "component_1"]
    assert len(report["columns"]) == 40
    assert Path("out/directions.md").is_file()


def test_tables_are_printed(mien: Mien) -> None:
    result = mien("study", "directions", "--samples", "10", *FEW, "-o", "out")
    assert result.exit_code == 0, result.output
    assert "Components by what they move" in result.stdout
    assert result.stdout.rstrip().endswith("out")


def test_bases_are_compared(mien: Mien, toys: Path) -> None:
    fit = (
        "--vary",
        "epochs=2",
        "--vary",
        "fewest=1",
        "--vary",
        "skip_rare=yes",
        "--vary",
        "initialise=normal",
    )
    varied = ("--vary", "orthogonalise=every_step,riemannian", *fit)
    result = mien("study", "basis", toys / "gallery", *varied, "--option", "faces=2", "-o", "out")
    assert result.exit_code == 0, result.output
    assert "Sparse orthogonal bases" in result.stdout
    assert len(Path("out/basis.csv").read_text().splitlines()) == 3


def test_a_folder_below_a_file_is_refused_before_fitting(
    refused: Callable[..., str], toys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pca, "find", lambda *_: pytest.fail("fitted"))
    Path("file").write_text("a file")
    study = ("study", "directions", "--gallery", toys / "gallery", *FEW)
    assert "file is a file; choose the name of a folder" in refused(*study, "-o", "file/out")


def test_refuses(refused: Callable[..., str]) -> None:
    study = ("study", "directions")
    assert "did you mean pca" in refused(*study, "--method", "pcaa")
    assert "did you mean components" in refused(*study, "--method", "pca:component=3")
    assert "did you mean faces" in refused(*study, "--option", "face=3")
    assert "not directions" in refused(*study, "--directions", "recogniser")
    assert "missing" in refused(*study, "--gallery", "missing", "--method", "pca")
    basis = ("study", "basis", "missing")
    assert "did you mean l1" in refused(*basis, "--vary", "l2=0,1")
    assert "is not of type float" in refused(*basis, "--vary", "l1=0,none")


def test_refuses_numbers_that_cannot_be(refused: Callable[..., str]) -> None:
    for option in ("faces=0", "faces=-2", "amount=nan"):
        why = refused("study", "directions", "--option", option, "-o", "out")
        assert f"{option}: give " in why
    basis = ("study", "basis", "missing", "-o", "out")
    for option in ("epochs=0", "learning_rate=nan", "learning_rate=inf", "fewest=0", "seed=-1"):
        assert f"{option}: give " in refused(*basis, "--vary", option)
    assert "faces=0: give 1 or more" in refused(*basis, "--option", "faces=0")
    assert not Path("out").exists()

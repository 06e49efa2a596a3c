"""The basis study on a linear toy: what it keeps, takes up again and reports."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from mien.directions import open_directions, orthogonal_basis
from mien.errors import BadInput
from mien.studies import basis as study
from mien.studies.basis import Options, Trial, grid
from tests.studies.test_directions import NAMES, bench, held

FIT = {"epochs": 60, "learning_rate": 0.05, "optimiser": "Adam", "fewest": 2}


def trials(**rates):
    return [
        Trial({"l1": str(value)}, orthogonal_basis.Options(l1=value, **FIT))
        for value in rates["l1"]
    ]


def run(folder, asked, told=lambda *args: None):
    return study.run(asked, held(200, seed=1), bench(), Options(faces=20), folder, told)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("basis")
    return run(folder, trials(l1=(0, 0.5))), folder


def test_a_grid_has_every_combination():
    varied = {"l1": ["0", "1"], "optimiser": ["Adam"], "batch": ["8", "9"]}
    assert [tuple(row.values()) for row in grid(varied)] == [
        ("0", "Adam", "8"), ("0", "Adam", "9"), ("1", "Adam", "8"), ("1", "Adam", "9"),
    ]  # fmt: skip


def test_the_table_measures_each_basis(made):
    rows, folder = made
    with open(folder / "basis.csv", encoding="utf-8") as handle:
        assert [row["l1"] for row in csv.DictReader(handle)] == ["0", "0.5"]
    assert (folder / "basis.md").read_text().count("\n") == 4
    for row in rows:
        found = open_directions(str(folder / "runs" / f"l1={row['l1']}" / "basis"))
        small = sum(abs(value) < 1e-3 for value in found.vectors.ravel()) / found.vectors.size
        assert row["sparsity"] == small
        angles = found.vectors.T @ found.vectors - np.eye(3)
        assert float(row["orthogonality error"]) == pytest.approx(np.abs(angles).max(), abs=2e-7)
        assert row["validation"] == found.provenance["best"]["validation"]
        assert row["epoch"] == found.provenance["best_epoch"] <= row["epochs"] <= 60
        latent, table = bench().held.latent.flat, bench().held.attributes.table
        right = np.sign(latent @ found.vectors + found.bias) == table
        sides = [right[:, m][table[:, m] == s].mean() for m in range(3) for s in (1, -1)]
        assert row["balanced"] == pytest.approx(np.mean(sides))


def test_the_leakage_is_what_moving_along_the_basis_does_to_the_linear_reader(made):
    rows, folder = made
    result = json.loads((folder / "runs" / "l1=0" / "result.json").read_text())
    assert result["directions"] == result["columns"] == list(NAMES)
    leakage = np.array(result["leakage"])
    others = np.abs(leakage[~np.eye(3, dtype=bool)])
    assert rows[0]["effect"] == pytest.approx(np.diag(leakage).mean(), abs=1e-4)
    assert rows[0]["leakage"] == pytest.approx(others.mean(), abs=1e-4)
    assert (np.diag(leakage) > 4 * others.max()).all()  # labels are signs of single numbers
    assert (folder / "leakage.png").read_bytes().startswith(b"\x89PNG")


def test_every_epoch_is_in_the_csv_and_in_tensorboard(made):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = made[1] / "runs" / "l1=0"
    table = np.genfromtxt(folder / "log.csv", delimiter=",", names=True)
    assert len(table) == made[0][0]["epochs"]
    read = events.EventAccumulator(str(folder / "tensorboard"))
    read.Reload()
    for name in ("train", "validation"):
        scalars = read.Scalars(name)
        assert [scalar.step for scalar in scalars] == table["epoch"].tolist()
        np.testing.assert_allclose([s.value for s in scalars], table[name], rtol=1e-6)


def test_finished_runs_are_kept_and_an_interrupted_one_begins_anew(tmp_path, monkeypatch):
    find, fitted = orthogonal_basis.find, []

    def counted(data, options, **others):
        fitted.append(options.l1)
        if options.l1 == 0.2 and fitted.count(0.2) == 1:
            others["report"]({"epoch": 1, "train": 9.0, "validation": 9.0})
            raise KeyboardInterrupt
        return find(data, options, **others)

    monkeypatch.setattr(orthogonal_basis, "find", counted)
    asked = trials(l1=(0, 0.2))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, asked)
    rows = run(tmp_path, asked)
    assert fitted == [0, 0.2, 0.2]
    log = np.genfromtxt(tmp_path / "runs" / "l1=0.2" / "log.csv", delimiter=",", names=True)
    assert len(log) == rows[1]["epochs"]  # nothing of the interrupted one
    assert run(tmp_path, asked) == rows
    assert len(fitted) == 3
    other = [Trial(asked[0].asked, orthogonal_basis.Options(**{**FIT, "epochs": 5}))]
    assert run(tmp_path, other)[0]["epochs"] == 5  # the same name, other options


def test_refuses_what_cannot_be_a_grid(tmp_path):
    for asked in ([], trials(l1=(0, 0))):
        with pytest.raises(BadInput, match="vary a field"):
            run(tmp_path, asked)
    (tmp_path / "runs" / "l1=0").mkdir(parents=True)
    (tmp_path / "runs" / "l1=0" / "result.json").write_text("{")
    with pytest.raises(BadInput, match="damaged"):
        run(tmp_path, trials(l1=(0,)))

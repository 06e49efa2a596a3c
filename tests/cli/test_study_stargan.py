"""A grid of toy StarGANs over photos of noise, end to end."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.studies import _stargan_runs, translation
from mien.studies._stargan_grids import GRIDS, open_grid
from mien.studies._stargan_runs import Bench, side_by_side
from mien.train import stargan
from tests import celeba
from tests.cli import dying
from tests.cli.conftest import Mien

BASE = """
[base]
attributes = ["Black_Hair", "Male"]
size = 16
width = 4
depth = 1
critic_width = 4
critic_depth = 2
batch = 4
steps = 6
decay_steps = 2
n_critic = 2
rate = 1e-2
average = 0.5
watch_every = 2
every = 3
log_every = 1
tested = 2

[measure]
photos = 6
groups = ["Male"]
grid = 2
"""
RUNS = """
[runs.first]

[runs.broader]
width = 8
watch_every = 3
"""
LOST = """
[runs.lost]
attributes = ["Redness", "Male"]
"""


@pytest.fixture
def photos(mien: Mien, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photos of noise; identities and Frechet features that cost nothing."""
    monkeypatch.setattr(translation.identity, "embed", lambda faces: np.ones((len(faces), 1)))
    monkeypatch.setattr(translation, "face_features", lambda faces: faces.mean((2, 3)))
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    return celeba.noise(Path("celeba"), ("Male", "Black_Hair", "Young"), train=12, test=12)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that were trained, in order."""
    names: list[str] = []
    train = stargan.train

    def noted(root: Path, folder: Path, name: str, *rest: Any) -> Any:
        names.append(name)
        return train(root, folder, name, *rest)

    monkeypatch.setattr(stargan, "train", noted)
    return names


def _rows(path: str) -> list[dict[str, str]]:
    with Path(path).open() as file:
        return list(csv.DictReader(file))


def test_a_grid_is_compared_and_taken_up_again(
    mien: Mien, photos: Path, trained: list[str]
) -> None:
    Path("grid.toml").write_text(BASE + LOST + RUNS)
    command = ("study", "stargan", photos, "-o", "out", "--grid", "grid.toml")
    result = mien(*command)
    assert result.exit_code == 2
    [line] = result.stderr.strip().splitlines()
    assert line.startswith("mien: run lost failed: unknown attribute 'Redness'")
    assert trained == ["lost", "first", "broader"]
    _check_tables()
    _check_pictures()

    Path("grid.toml").write_text(BASE + LOST.replace("Redness", "Young") + RUNS)
    del trained[:]
    result = mien(*command, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert trained == ["lost"]
    assert [row["run"] for row in report["runs"]] == ["lost", "first", "broader"]
    assert report["failed"] == {}
    assert report["wishes"][1]["Young"] == "-"  # first was never taught it
    report = json.loads(mien(*command, "--run", "first", "--json").stdout)
    assert {k: str(v) for k, v in report["runs"][0].items()} == _rows("out/stargan.csv")[0]
    assert len(report["runs"]) == 1


def test_runs_of_earlier_versions_are_taken_over(
    mien: Mien, photos: Path, trained: list[str]
) -> None:
    """Recipes had fewer fields then, and groups no distances of their own."""
    Path("grid.toml").write_text(BASE.replace("photos = 6", "photos = 12") + "[runs.first]")
    command = ("study", "stargan", photos, "-o", "out", "--grid", "grid.toml")
    assert mien(*command).exit_code == 0
    result, recipe = (Path("out/runs/first") / name for name in ("result.json", "recipe.json"))
    stored, fields = json.loads(result.read_text()), json.loads(recipe.read_text())
    text = "## Groups: mean absolute change after a wish and the way back, and Frechet distance"
    table = Path("out/stargan.md").read_text().partition(text)[2].splitlines()
    [men] = [whole for whole in stored["wholes"] if whole["group"] == "Male"]
    assert table[2].split(" | ")[2] == "Male"
    assert table[4].split(" | ")[2] == f"{men['reconstruction']:.3f} / {men['frechet']:.0f}"
    for earlier in (stored["key"]["recipe"], fields):
        del earlier["hues"]
    result.write_text(json.dumps(stored))
    recipe.write_text(json.dumps(fields))
    assert mien(*command).exit_code == 0
    assert trained == ["first"]
    wholes = stored.pop("wholes")
    result.write_text(json.dumps(stored))
    assert mien(*command).exit_code == 0
    assert json.loads(result.read_text())["wholes"] == wholes


def _check_tables() -> None:
    """A row a run, in which wishes are averaged; who failed is told below."""
    table = _rows("out/stargan.csv")
    assert [(row["run"], row["differs"]) for row in table] == [
        ("first", ""), ("broader", "width=8 watch_every=3"),
    ]  # fmt: skip
    assert [(row["generator steps"], row["images"]) for row in table] == [("3", "24")] * 2
    wishes = _rows("out/wishes.csv")
    assert len(wishes) == 2 * 2 * len({row["group"] for row in wishes})  # runs, wishes, groups
    judged = [
        float(row["judged"])
        for row in wishes
        if (row["translator"], row["group"]) == ("first", "everybody")
    ]
    assert float(table[0]["judged"]) == pytest.approx(np.mean(judged))
    assert "Redness" in Path("out/stargan.md").read_text().partition("## Failed")[2]


def _check_pictures() -> None:
    """A frame a picture of the training, and a sheet with the same faces in every row."""
    for name, count in (("first", 3), ("broader", 2)):
        folder = Path("out/runs") / name
        watched = sorted((folder / "samples").iterdir())
        with Image.open(folder / "training.gif") as film, Image.open(watched[-1]) as last:
            assert (film.n_frames, len(watched)) == (count, count)
            film.seek(count - 1)
            near = np.asarray(film.convert("RGB"), int) - np.asarray(last.convert("RGB"), int)
        assert np.abs(near).mean() < 12  # 256 colours
    with Image.open("out/grid.png") as sheet, Image.open("out/runs/broader/broader.png") as own:
        pixels, drawn = np.asarray(sheet), np.asarray(own)
    faces = np.concatenate([drawn[:16, :16], drawn[16:, :16]], axis=1)
    male = np.concatenate([drawn[:16, 32:], drawn[16:, 32:]], axis=1)
    left = 150 + 32 + 8  # the second wish's block: Male
    assert pixels.shape == (18 + 3 * 16, 150 + 2 * 40, 3)
    assert np.array_equal(pixels[18:34, left : left + 32], faces)
    assert np.array_equal(pixels[50:66, left : left + 32], male)


def test_a_folder_of_another_recipe_is_left_alone(
    mien: Mien, photos: Path, trained: list[str]
) -> None:
    command = ("study", "stargan", photos, "-o", "out", "--grid", "grid.toml")
    one = BASE + "[runs.first]"
    Path("grid.toml").write_text(one)
    assert mien(*command).exit_code == 0
    before = Path("out/runs/first/checkpoint.pt").read_bytes()
    Path("grid.toml").write_text(one.replace("width = 4", "width = 6"))
    result = mien(*command)
    assert result.exit_code == 2
    assert "holds a run of another recipe; delete it" in result.stderr
    assert trained == ["first"]
    assert Path("out/runs/first/checkpoint.pt").read_bytes() == before
    Path("grid.toml").write_text(one.replace("photos = 6", "photos = 5"))
    assert mien(*command).exit_code == 0  # measured anew, not trained anew
    log = Path("out/runs/first/log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in log] == [1, 2, 3, 4, 5, 6]
    assert {row["faces"] for row in _rows("out/wishes.csv")} == {"5"}


def test_processes_side_by_side_fail_alone(photos: Path) -> None:
    Path("grid.toml").write_text(BASE + RUNS + LOST)
    first, _, lost = open_grid("grid.toml").entries
    bench = Bench(photos.resolve(), translation.Options(photos=2, groups=(), grid=2))
    told: list[tuple[int, int]] = []
    found = side_by_side(
        [lost, first], bench, Path("out").resolve(), 2, lambda done, of, _: told.append((done, of))
    )
    assert "unknown attribute 'Redness'" in found["lost"].failure
    assert found["first"].result is not None
    assert {row["faces"] for row in found["first"].result["rows"]} == {2}
    assert told == [(1, 2), (2, 2)]


def test_a_process_that_dies_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_stargan_runs, "_quietly", dying.die)
    entry: Any = SimpleNamespace(name="one")  # nothing that the child would import torch for
    outcome = _stargan_runs._in_process(entry, Path(), None, Path(), 1)  # type: ignore[arg-type]
    assert outcome.result is None
    assert outcome.failure.startswith("its process ended early")


def test_joint_runs_are_told_apart_by_shares(mien: Mien, photos: Path) -> None:
    text = BASE.replace("photos = 6", "photos = 6\nshares = 2")
    text = text.replace("[base]", '[base]\njoint = ["Black_Hair", "Male"]')
    Path("grid.toml").write_text(text + "\n[runs.both]\nsteps = 4\n[runs.second]\nshare = 2\n")
    result = mien("study", "stargan", photos, "-o", "out", "--grid", "grid.toml", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [row["generator steps"] for row in report["runs"]] == [4, 3]
    assert [row["images"] for row in report["runs"]] == [32, 24]
    shares = {(row["run"], row["photos"]): row for row in report["shares"]}
    assert list(shares) == [(run, f"share {n}") for run in ("both", "second") for n in (1, 2)]
    assert shares["second", "share 1"]["Black_Hair"] == "-"
    assert "/" in shares["both", "share 1"]["Black_Hair"]
    assert {row["faces"] for row in _rows("out/wishes.csv") if "share" in row["group"]} == {"3"}


@pytest.mark.parametrize("name", GRIDS)
def test_built_in_batches_are_equal_in_what_they_say(name: str) -> None:
    entries = {entry.name: entry.recipe for entry in open_grid(name).entries}
    base = next(iter(entries.values()))
    for run, recipe in entries.items():
        if run.startswith("batch-"):
            assert recipe.batch == int(run.split("-")[1]) != base.batch
            same = replace(recipe, batch=base.batch)
            if run.endswith("equal-steps"):
                assert same == base
            else:
                assert run.endswith("equal-images")
                assert recipe.batch * recipe.steps == base.batch * base.steps
                share = recipe.decay_steps / recipe.steps
                assert share == base.decay_steps / base.steps


def test_refuses(refused: Callable[..., str], photos: Path) -> None:
    def says(text: str, name: str = "grid.toml") -> str:
        Path(name).write_text(text)
        return refused("study", "stargan", photos, "-o", "out", "--grid", name)

    assert "did you mean small" in refused("study", "stargan", photos, "--grid", "smal")
    only = ("--grid", "small", "--run", "bas")
    assert "did you mean base" in refused("study", "stargan", photos, *only)
    assert "cannot read none.json" in refused("study", "stargan", photos, "--grid", "none.json")
    assert "not valid TOML" in says("[runs")
    assert "has no runs" in says("[base]\nsize = 16")
    assert "has no runs" in says("[]", "grid.json")
    assert "did you mean runs" in says("[run.a]\n[runs.a]")
    assert "run a: " in says("[runs.a]\nbath = 3")
    assert "did you mean batch" in says("[runs.a]\nbath = 3")
    assert "steps=many is not of type int" in says('[runs.a]\nsteps = "many"')
    assert "residual=1 is not of type bool" in says("[runs.a]\nresidual = 1")
    assert "run a: unknown loss 'hing'; did you mean hinge" in says('[runs.a]\nloss = "hing"')
    assert "names a folder" in says('[runs."a/b"]')
    assert "every run of the grid failed; lost: unknown" in says(BASE + LOST)

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Mien


def test_refuses_what_is_no_celeba(refused: Callable[..., str]) -> None:
    Path("photos").mkdir()
    for model in ("recogniser", "vae"):
        assert "list_eval_partition.txt" in refused("train", model, "photos")
    for study in ("retrieval", "editing"):
        assert "list_eval_partition.txt" in refused("study", study, "photos")
    assert sorted(path.name for path in Path().iterdir()) == ["photos"]


@pytest.fixture
def layout(mien: Mien) -> Path:
    """CelebA's lists with one photo that does not exist."""
    root = Path("celeba")
    root.mkdir()
    (root / "list_eval_partition.txt").write_text("1.jpg 0\n")
    (root / "identity_CelebA.txt").write_text("1.jpg 7\n")
    (root / "list_attr_celeba.txt").write_text("1\nSmiling Male\n1.jpg 1 -1\n")
    return root


def test_recipe_fields_reach_the_training(
    mien: Mien, layout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.train import recogniser

    seen: list[Any] = []
    monkeypatch.setattr(recogniser, "train", lambda *arguments: seen.extend(arguments))
    changes = ("--recipe", "epochs=3", "--recipe", "rate=0.5", "--recipe", "pretrained=no")
    result = mien("train", "recogniser", layout, "-o", "run", "--name", "judge", *changes)
    assert result.exit_code == 0, result.output
    root, folder, name, recipe, _ = seen
    assert (root, folder, name) == (layout, Path("run"), "judge")
    assert recipe == recogniser.Recipe(epochs=3, rate=0.5, pretrained=False)


def test_refuses_recipes_of_another_kind(refused: Callable[..., str], layout: Path) -> None:
    train = ("train", "recogniser", layout, "--recipe")
    assert "did you mean epochs" in refused(*train, "epoch=3")
    assert "not of type int" in refused(*train, "epochs=three")
    assert "not of type bool" in refused(*train, "pretrained=maybe")


@pytest.mark.parametrize(
    ("model", "change", "why"),
    [
        ("recogniser", "epochs=0", "epochs=0: give 1 or more"),
        ("recogniser", "architecture=foo", "unknown architecture 'foo'"),
        ("recogniser", "batch=2", "batch=2 is more than the 1 photos"),
        ("vae", "batch=0", "batch=0: give 1 or more"),
        ("vae", "batch=2", "batch=2 is more than the 1 photos"),
        ("stylegan2", "rate=nan", "rate=nan: give 0 or more"),
        ("e4e", "batch=0", "batch=0: give 1 or more"),
        ("psp", "rate=inf", "rate=inf: give 0 or more"),
        ("e4e", "widths=32,32", "give 5 values separated by commas"),
        ("stargan", "rate=nan", "rate=nan: give 0 or more"),
        ("stargan", "betas=0.5", "give 2 values separated by commas"),
        ("stargan", "begin=foo", "unknown model 'foo'"),
    ],
)
def test_recipes_that_cannot_be_leave_nothing_behind(
    refused: Callable[..., str], layout: Path, model: str, change: str, why: str
) -> None:
    assert why in refused("train", model, layout, "-o", "run", "--recipe", change)
    assert not Path("run").exists()


@pytest.mark.parametrize("place", [("-o", "file/run"), ("-o", ".", "--name", "file")])
def test_a_file_in_the_place_of_the_model_is_refused_before_photos_are_read(
    refused: Callable[..., str], layout: Path, place: tuple[str, ...]
) -> None:
    Path("file").write_text("a file")
    sentence = refused("train", "recogniser", layout, "--recipe", "batch=1", *place)
    assert "file is a file; choose the name of a folder" in sentence


@pytest.mark.parametrize("name", ["e/model", "..", ""])
def test_a_name_is_that_of_one_folder(refused: Callable[..., str], layout: Path, name: str) -> None:
    sentence = refused("train", "recogniser", layout, "-o", "run", "--name", name)
    assert f"{name!r} cannot be a model's name; give one without folders" in sentence
    assert not Path("run").exists()

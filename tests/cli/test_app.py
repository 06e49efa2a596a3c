from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import mien as package
from mien.errors import BadInput
from tests.cli.conftest import Mien

COMMANDS = (
    "edit", "find", "sample", "interpolate", "attributes", "demo", "gallery build", "gallery add",
    "gallery sample", "gallery remove", "gallery info", "directions fit", "models list",
    "models info", "models pull", "models import", "models export",
    "train recogniser", "train vae", "study retrieval", "study editing", "study directions",
)  # fmt: skip
HEAVY = ("torch", "numpy", "scipy", "sklearn", "matplotlib", "PIL", "rich", "dlib", "skimage")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, mien: Mien) -> None:
    result = mien(*command.split(), "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout
    assert result.stdout.count("\n") > 6


def _imported(code: str) -> set[str]:
    script = f"import sys, json\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(ran.stdout.splitlines()[-1]))


def test_help_imports_nothing_heavy() -> None:
    code = (
        "sys.argv = ['mien', '--help']\nfrom mien.cli.app import main\n"
        "try: main()\nexcept SystemExit: pass"
    )
    assert _imported(code).isdisjoint(HEAVY)


def test_rooms_that_need_no_network_do_not_import_torch() -> None:
    rooms = (
        "types", "faces.portrait", "faces.paste", "directions", "edit.photo", "edit.recipe",
        "search.find", "search.build", "search.sheet", "provenance.mark", "generators",
    )  # fmt: skip
    code = "\n".join(f"import mien.{room}" for room in rooms)
    assert _imported(code).isdisjoint({"torch", "sklearn", "scipy", "matplotlib"})


def test_version(mien: Mien) -> None:
    assert mien("--version").stdout == f"mien {package.__version__}\n"


def test_the_package_runs_as_the_command() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "mien", "--version"], capture_output=True, text=True, check=True
    )
    assert ran.stdout == f"mien {package.__version__}\n"


@pytest.mark.parametrize("arguments", [("edti",), ("edit",), ("edit", "a.jpg", "--sett", "x")])
def test_usage_errors_exit_with_2(arguments: tuple[str, ...], mien: Mien) -> None:
    result = mien(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("gallery", "sample", "gallery", "--count"),
        ("gallery", "sample", "gallery", "--count", "1", "--seed"),
        ("directions", "fit", "-o", "found", "--samples"),
        ("study", "directions", "--samples"),
        ("invert", "missing.jpg", "--steps"),
        ("invert", "missing.jpg", "--tune"),
    ],
)
def test_numbers_that_only_a_slip_makes_are_refused(arguments: tuple[str, ...], mien: Mien) -> None:
    result = mien(*arguments, 10**20)
    assert result.exit_code == 2
    assert f"Invalid value for '{arguments[-1]}'" in result.stderr
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (BadInput("give a photo"), 2, "mien: give a photo\n"),
        (PermissionError(13, "Permission denied", "/a"), 2, "mien: /a: Permission denied\n"),
        (OSError(28, "No space left on device"), 2, "mien: No space left on device\n"),
        (
            MemoryError(),
            2,
            "mien: there is not enough memory for this; ask for fewer or smaller pictures\n",
        ),
        (KeyboardInterrupt(), 130, "mien: interrupted; what was acknowledged is kept\n"),
    ],
)
def test_errors_are_one_sentence(
    error: BaseException, code: int, sentence: str, mien: Mien, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien import checkpoint

    def fail() -> list[str]:
        raise error

    monkeypatch.setattr(checkpoint, "embedded", fail)
    result = mien("models", "list")
    assert (result.exit_code, result.stderr, result.stdout) == (code, sentence, "")


def too_large() -> None:
    import torch

    torch.empty(1 << 60, dtype=torch.uint8)


def too_large_for_the_device() -> None:
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize("fail", [too_large, too_large_for_the_device])
def test_torch_out_of_memory_is_that_sentence(
    fail: Callable[[], None], refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien import checkpoint

    monkeypatch.setattr(checkpoint, "embedded", fail)
    assert "there is not enough memory for this" in refused("models", "list")


def test_other_errors_of_torch_are_not_hidden(mien: Mien, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from mien import checkpoint

    monkeypatch.setattr(checkpoint, "embedded", lambda: torch.ones(2) @ torch.ones(3))
    assert type(mien("models", "list").exception) is RuntimeError


def test_a_programming_error_is_not_hidden(mien: Mien, monkeypatch: pytest.MonkeyPatch) -> None:
    from mien import checkpoint

    monkeypatch.setattr(checkpoint, "embedded", lambda: 1 / 0)
    assert isinstance(mien("models", "list").exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("mien edit a.jpg --set Eye", "Eyeglasses="),
        ("mien find a.jpg --adjust Smil", "Smiling="),
        ("mien find a.jpg --prefer Ba", "Bald="),
        ("mien edit a.jpg --hold Mal", "Male"),
    ],
)
def test_shell_completes_attribute_names(words: str, expected: str) -> None:
    code = "from mien.cli.app import main; main()"
    environment = {
        "_MIEN_COMPLETE": "complete_bash", "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1), "PYTHONPATH": ":".join(sys.path),
    }  # fmt: skip
    script = f"import sys; sys.argv = ['mien']; {code}"
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment
    )
    assert expected in ran.stdout.split()


def test_output_may_go_to_a_closed_pipe(toys: Path) -> None:
    script = (
        "from pathlib import Path; from mien import checkpoint\n"
        f"checkpoint.assets = lambda: Path({str(toys)!r})\n"
        "import sys; sys.argv = ['mien', 'models', 'info', 'vae-128']\n"
        "from mien.cli.app import main; main()"
    )
    ran = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert ran.stdout is not None
    ran.stdout.close()
    _, errors = ran.communicate()
    assert "Traceback" not in errors
    assert "mien:" not in errors


def test_public_verbs_are_few_and_open() -> None:
    rooms = {path.name for path in Path(package.__file__).parent.iterdir()}
    assert len(package.__all__) <= 8
    assert rooms.isdisjoint(package.__all__)  # a verb named like a room would be hidden by it
    for name in package.__all__:
        assert callable(getattr(package, name))
    with pytest.raises(AttributeError, match="no attribute 'edits'"):
        _ = package.edits

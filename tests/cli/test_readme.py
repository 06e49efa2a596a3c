"""What README and docs show is run, or at least parsed."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer

from mien.cli.app import app
from tests.cli.conftest import Mien

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def _lines() -> list[str]:
    lines = [line for page in PAGES for block in _blocks(page, "sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("mien ")]


def test_the_library_code_of_the_readme_runs(
    mien: Mien, astronaut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(astronaut, "me.jpg")
    [code] = _blocks(ROOT / "README.md", "python")
    exec(compile(code, "README.md", "exec"), {})
    assert Path("smiling.png").is_file()
    assert len(capsys.readouterr().out.splitlines()) == 10


@pytest.mark.parametrize("line", _lines())
def test_commands_of_the_documentation_exist(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command = typer.main.get_command(app)
    root = {name for parameter in command.params for name in parameter.opts}
    while words and words[0] in root:
        del words[:2]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    known = root | {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
    used = [word for word in words if word.startswith("-") and not word.lstrip("-").isdigit()]
    assert [word for word in used if word not in known] == []

"""The rules of the house: sizes, docstrings, imports, no machine and no device named."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "src").rglob("*.py"))
TEXTS = sorted(
    path
    for folder in ("src", "tests", "docs", "benchmarks", ".ci")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".md", ".json", ""} and path.is_file()
) + sorted([*ROOT.glob("*.md"), *ROOT.glob("*.toml"), *ROOT.glob(".*.yaml"), ROOT / "Makefile"])
Function = ast.FunctionDef | ast.AsyncFunctionDef
LINES_OF_FILE, LINES_OF_FUNCTION, PARAMETERS = 300, 40, 6


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _functions() -> Iterator[tuple[str, Function]]:
    for path in FILES:
        for node in ast.walk(_tree(path)):
            if isinstance(node, Function):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node


def _commands() -> set[str]:
    """Names of the functions that are commands: their parameters are the options."""
    from mien.cli.app import app

    groups = [app, *(group.typer_instance for group in app.registered_groups)]
    return {command.callback.__name__ for group in groups for command in group.registered_commands}


def test_files_are_short() -> None:
    lengths = {str(path): path.read_text(encoding="utf-8").count("\n") for path in FILES}
    assert [name for name, lines in lengths.items() if lines > LINES_OF_FILE] == []


def test_functions_are_short() -> None:
    lengths = {where: node.end_lineno - node.lineno + 1 for where, node in _functions()}
    assert [where for where, lines in lengths.items() if lines > LINES_OF_FUNCTION] == []
    assert 4 <= median(lengths.values()) <= 15


def test_functions_take_few_parameters() -> None:
    def count(node: Function) -> int:
        every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        return sum(argument.arg not in ("self", "cls") for argument in every)

    crowded = {where: node.name for where, node in _functions() if count(node) > PARAMETERS}
    # typer takes no dataclass of options, so a command may have as many as it has options
    commands = _commands()
    left = [w for w, name in crowded.items() if not ("/cli/" in w and name in commands)]
    assert left == []


def _public(tree: ast.Module) -> Iterator[ast.ClassDef | Function]:
    """Public functions and classes, and the public methods of those classes."""
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | Function) or node.name.startswith("_"):
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            yield from (m for m in node.body if isinstance(m, Function) and m.name[0] != "_")


def test_everything_public_has_a_docstring() -> None:
    bare = []
    for path in FILES:
        tree = _tree(path)
        bare += [f"{path.name}: module"] if ast.get_docstring(tree) is None else []
        bare += [
            f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
            for node in _public(tree)
            if ast.get_docstring(node) is None and not _is_options(node)
        ]
    assert bare == []


def _is_options(node: ast.AST) -> bool:
    """A dataclass whose fields carry their own comments says what it is."""
    return isinstance(node, ast.ClassDef) and node.name.endswith("Options")


def test_no_error_is_swallowed_unseen() -> None:
    """A handler that only passes names the few errors it expects."""
    swallowed = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and (node.type is None or all(isinstance(line, ast.Pass) for line in node.body))
    ]
    assert swallowed == []


@pytest.mark.parametrize(
    ("what", "pattern", "allowed"),
    [
        (
            "a device",
            r"""["']cuda["':]|\.cuda\(""",
            ("src/mien/runtime/", "tests/parity/sefa_factorize.json"),  # an original's words
        ),
        (
            "a folder of one machine",
            r"(?<![\w.])/(work|farm|root|home|tmp|opt)/",
            (),
        ),
        (
            "a package registry's host",
            r"pypi\.org|pythonhosted|npmjs\.(org|com)",
            (),
        ),
        ("a pickle", r"pickle\.load|allow_pickle=True|weights_only=False", ("tests/",)),
    ],
)
def test_nowhere_names(what: str, pattern: str, allowed: tuple[str, ...]) -> None:
    """No file outside `allowed` names what ties mien to one machine or runs foreign code."""
    named = [
        f"{path.relative_to(ROOT)}:{number} names {what}: {line.strip()[:80]}"
        for path in TEXTS
        if not str(path.relative_to(ROOT)).startswith((*allowed, "tests/test_house.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(pattern, line)
    ]
    assert named == []


def test_rooms_import_only_rooms_below_them() -> None:
    script = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_room_has_a_place_in_the_contract() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    placed = set(re.findall(r"\w+", " ".join(layers)))
    rooms = {path.parent.name for path in (ROOT / "src" / "mien").glob("*/__init__.py")}
    assert rooms <= placed


def test_tests_mirror_the_rooms() -> None:
    rooms = {path.parent.name for path in (ROOT / "src" / "mien").glob("*/__init__.py")}
    tested = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert rooms <= tested


def test_the_first_code_of_the_readme_comes_early() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert next(n for n, line in enumerate(lines) if line.startswith("```python")) < 40

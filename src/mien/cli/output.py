"""What commands print: JSON and tables on stdout, progress on stderr."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import typer


class Progress(Protocol):
    """Draws how far some long work is."""

    def __call__(self, done: int, total: int, text: str = "", /) -> None:
        """`done` of `total` steps are done; `text` says what is being done."""
        ...


def print_json(value: Any) -> None:
    """One JSON document on stdout; escaped where stdout cannot write all its letters."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    typer.echo(text)


def escape_output() -> None:
    """Let stdout and stderr escape what they cannot write, such as names that are not UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout, its first column left-aligned, the others by content."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for place, column in enumerate(columns):
        numeric = all(_is_number(row[place]) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_escaped, row))  # here, so that columns are as wide as what is seen
    Console(highlight=False, markup=False).print(table)


@contextmanager
def progress_bar(title: str, shown: bool = True) -> Iterator[Progress]:
    """A function (done, total, text) that draws a bar on stderr; silent when that is no terminal.

    It is silent, too, where it is not to be shown. An interruption between two calls leaves
    the terminal as it was.
    """
    from rich import progress as rich
    from rich.console import Console

    console = Console(stderr=True)
    columns = (
        rich.TextColumn("{task.description}"), rich.BarColumn(), rich.MofNCompleteColumn(),
        rich.TimeRemainingColumn(), rich.TextColumn("{task.fields[text]}"),
    )  # fmt: skip
    with rich.Progress(
        *columns, console=console, disable=not (shown and console.is_terminal)
    ) as bar:
        task = bar.add_task(title, total=None, text="")

        def update(done: int, total: int, text: str = "", /) -> None:
            bar.update(task, completed=done, total=total, text=text)

        yield update


def _escaped(text: str) -> str:
    """The text with what no UTF-8 can write escaped."""
    return text.encode(errors="backslashreplace").decode()


def _is_number(text: str) -> bool:
    try:
        float(text.rstrip(" %"))
    except ValueError:
        return False
    return True

"""`mien live`: faces of a camera, a video file or a stream, changed as they come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli import edit, options, pictures, translate
from mien.errors import BadInput

if TYPE_CHECKING:
    from mien.live.changes import Changes
    from mien.live.loop import Report
    from mien.live.sink import Sink
    from mien.live.source import Source

Model = Annotated[
    str | None, typer.Option("--model", metavar="MODEL", help="Translator, with --to.")
]
Space = Annotated[
    str | None,
    typer.Option("--space", metavar="MODEL", help="Latent space, with --set or --move."),
]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="MP4 to write.")]


def live(
    source: Annotated[
        str, typer.Argument(help="Number of a camera, a video file, or a stream's address.")
    ] = "0",
    model: Model = None,
    to: translate.To = None,
    strength: translate.Strength = 1.0,
    space: Space = None,
    wanted: edit.Set = None,
    moves: edit.Move = None,
    hold: edit.Hold = None,
    directions: edit.Found = None,
    out: Out = None,
    window: Annotated[
        bool | None, typer.Option("--window/--no-window", help="Shown unless -o is given.")
    ] = None,
    real_time: Annotated[
        bool | None,
        typer.Option(
            "--real-time/--every-frame",
            help="A file at its own speed, dropping frames, as a window does; or all of it.",
        ),
    ] = None,
    faces: Annotated[int, typer.Option("--faces", min=1, help="At most, the largest first.")] = 1,
    every: Annotated[int, typer.Option("--every", min=1, help="Frames between detections.")] = 10,
) -> None:
    """Change the faces of SOURCE while it runs.

    Examples: mien live --model FOLDER --to Blond_Hair;
    mien live talk.mp4 --space vae-128 --move Smiling=1 -o smiling.mp4.
    Keys in the window: 1 to 9 turn the named targets on and off, 0 all off, Esc or q end.
    """
    if out is not None:
        options.check_picture(out, "-o", Path(source), kinds=(".mp4",))
    shown = out is None if window is None else window
    asked: dict[str, Any] = {"to": to, "strength": strength, "set": wanted, "move": moves}
    asked |= {"hold": hold, "directions": directions}
    with _opened(source) as opened, ExitStack() as stack:
        sinks: list[Sink] = []
        if shown:  # before any model: opening those takes seconds
            from mien.live.sink import Window

            sinks.append(stack.enter_context(Window()))
        changes, wish, note = _changes(model, space, asked)
        file = None
        if out is not None:
            from mien.live.sink import VideoFile

            file = stack.enter_context(VideoFile(out, note, opened.rate))
            sinks.append(file)
        paced = shown if real_time is None else real_time
        report = _run(opened, paced, (changes, wish, sinks), (faces, every))
        if file is not None:
            file.note["used"] = list(report.used)
    _tell(report, out or Path(source))


@contextmanager
def _opened(name: str) -> Iterator[Source]:
    from mien.live.source import open_source

    source = open_source(name)
    try:
        yield source
    finally:
        source.close()


def _changes(
    model: str | None, space: str | None, asked: dict[str, Any]
) -> tuple[Changes, dict[str, float], dict[str, Any]]:
    """What changes faces, the wish at first, and what a file says of it."""
    if (model is None) == (space is None):
        raise BadInput("give --model TRANSLATOR with --to, or --space MODEL with --set or --move")
    if model is not None:
        if asked["set"] or asked["move"] or asked["hold"] or asked["directions"]:
            raise BadInput(
                "--set, --move, --hold and --directions need --space; a --model takes --to"
            )
        return _translates(model, asked)
    if asked["to"]:
        raise BadInput("--to needs --model; a --space takes --set NAME=PRESENCE or --move NAME=1")
    return _edits(str(space), asked)


def _translates(
    model: str, asked: dict[str, Any]
) -> tuple[Changes, dict[str, float], dict[str, Any]]:
    from mien.edit.translate import Wish, check_wish

    wish = Wish(translate.pairs(asked["to"]), asked["strength"])

    from mien.generators import open_translator
    from mien.live.changes import Translates
    from mien.recognise.any_size import AnySize
    from mien.recognise.recogniser import open_recogniser

    translator = open_translator(model)
    check_wish(translator, wish.to)
    changes = Translates(translator, AnySize(open_recogniser()), wish.strength)
    note = pictures.stamp(translator.mark) | {"to": dict(wish.to), "strength": wish.strength}
    return changes, dict(wish.to), note


def _edits(space: str, asked: dict[str, Any]) -> tuple[Changes, dict[str, float], dict[str, Any]]:
    import json

    from mien.edit.recipe import Recipe

    named = options.own(space, asked["directions"])
    presences = options.presences(asked["set"] or [], "--set")
    amounts = options.numbers(asked["move"] or [], "--move")
    recipe = Recipe(space, named, presences, amounts, tuple(asked["hold"] or ()))
    found = edit.directions_of(recipe)

    from mien.generators import open_space
    from mien.live.changes import Edits
    from mien.recognise.any_size import AnySize
    from mien.recognise.recogniser import open_recogniser

    opened = open_space(space)
    changes = Edits(opened, found, AnySize(open_recogniser()), recipe)
    note = pictures.stamp(f"{opened.mark}") | {"recipe": json.loads(recipe.to_json())}
    return changes, presences | amounts, note | pictures.weights_of(opened.card)


def _run(
    source: Source,
    paced: bool,
    parts: tuple[Changes, dict[str, float], list[Sink]],
    limits: tuple[int, int],
) -> Report:
    from mien.live import reader
    from mien.live.loop import Run
    from mien.live.sink import Nowhere, Several
    from mien.live.track import Tracker, TrackOptions

    changes, wish, sinks = parts
    frames = source.frames()
    if paced and not source.endless:
        frames = reader.paced(frames, reader.WallClock())
    tracker = Tracker(changes.frame, TrackOptions(faces=limits[0], every=limits[1]))
    sink = Several(sinks) if sinks else Nowhere()
    with reader.Reader(frames, newest=paced or source.endless) as ahead:
        return Run(ahead, tracker, changes, sink, wish)()


def _tell(report: Report, place: Path) -> None:
    dropped = f", {report.dropped} dropped" if report.dropped else ""
    typer.echo(
        f"{place}: {report.frames} frames, {report.changed} with a face changed{dropped}, "
        f"{report.rate:.1f} a second"
    )
    if report.interrupted:
        raise KeyboardInterrupt

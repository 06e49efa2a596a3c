"""`mien live`: faces of a camera, a video file or a stream, changed as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
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

    Opened = tuple[Changes, dict[str, float], dict[str, Any]]  # the wish at first; a file's note

Model = Annotated[
    str | None, typer.Option("--model", metavar="MODEL", help="Translator, with --to.")
]
Space = Annotated[
    str | None,
    typer.Option("--space", metavar="MODEL", help="Latent space, with --set or --move."),
]
Strength = Annotated[
    float | None,
    typer.Option("--strength", help="With --model: share of the translation, 0 to 1; 1."),
]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="MP4 to write.")]


From = Annotated[
    str, typer.Argument(help="Number of a camera, a video file, or a stream's address.")
]
Windowed = Annotated[
    bool | None, typer.Option("--window/--no-window", help="Shown unless -o is given.")
]
RealTime = Annotated[
    bool | None,
    typer.Option(
        "--real-time/--every-frame",
        help="A file at its own speed, dropping frames, as in a window; or all of it.",
    ),
]
Faces = Annotated[int, typer.Option("--faces", min=1, help="At most, the largest first.")]
Every = Annotated[int, typer.Option("--every", min=1, help="Frames between detections.")]


@dataclass(frozen=True)
class Shown:
    """Where frames go and how they are taken."""

    out: Path | None
    window: bool
    paced: bool  # frames of a file not before their time, and the late ones dropped
    faces: int
    every: int


def live(
    source: From = "0",
    model: Model = None,
    to: translate.To = None,
    strength: Strength = None,
    space: Space = None,
    wanted: edit.Set = None,
    moves: edit.Move = None,
    hold: edit.Hold = None,
    directions: edit.Found = None,
    out: Out = None,
    window: Windowed = None,
    real_time: RealTime = None,
    faces: Faces = 1,
    every: Every = 10,
) -> None:
    """Change the faces of SOURCE while it runs.

    Examples: mien live --to Blond_Hair;
    mien live talk.mp4 --space vae-128 --move Smiling=1 -o smiling.mp4.
    Keys in the window: 1 to 9 turn the named targets on and off, 0 all off, Esc or q end.
    """
    if out is not None:
        options.check_picture(out, "-o", Path(source), kinds=(".mp4",))
    window = out is None if window is None else window
    shown = Shown(out, window, window if real_time is None else real_time, faces, every)
    asked: dict[str, Any] = {"to": to, "strength": strength, "set": wanted, "move": moves}
    asked |= {"hold": hold, "directions": directions}
    with _opened(source) as opened:
        report = _show(opened, shown, lambda: _changes(model, space, asked))
    _tell(report, out or Path(source))


def _show(source: Source, shown: Shown, changes_of: Callable[[], Opened]) -> Report:
    """Open the window before the models, which takes seconds; the file after them."""
    from mien.live.sink import VideoFile, Window

    with ExitStack() as stack:
        sinks: list[Sink] = [stack.enter_context(Window())] if shown.window else []
        changes, wish, note = changes_of()
        if shown.out is None:
            return _run(source, shown, (changes, wish, sinks))
        file = stack.enter_context(VideoFile(shown.out, note, source.rate))
        report = _run(source, shown, (changes, wish, [*sinks, file]))
        file.note["used"] = list(report.used)
        return report


@contextmanager
def _opened(name: str) -> Iterator[Source]:
    from mien.live.source import open_source

    source = open_source(name)
    try:
        yield source
    finally:
        source.close()


def _changes(model: str | None, space: str | None, asked: dict[str, Any]) -> Opened:
    """What changes faces, the wish at first, and what a file says of it."""
    if model is None and space is None and asked["to"]:
        model = options.TRANSLATOR
    if (model is None) == (space is None):
        raise BadInput("give --to with --model TRANSLATOR, or --space MODEL with --set or --move")
    if model is not None:
        if asked["set"] or asked["move"] or asked["hold"] or asked["directions"]:
            raise BadInput(
                "--set, --move, --hold and --directions need --space; a --model takes --to"
            )
        return _translates(model, asked)
    if asked["to"]:
        raise BadInput("--to needs --model; a --space takes --set NAME=PRESENCE or --move NAME=1")
    if asked["strength"] is not None:
        raise BadInput("--strength needs --model; a --space takes the amount in --move NAME=0.5")
    return _edits(str(space), asked)


def _translates(model: str, asked: dict[str, Any]) -> Opened:
    from mien.edit.translate import Wish, check_wish

    strength = 1.0 if asked["strength"] is None else asked["strength"]
    wish = Wish(translate.pairs(asked["to"]), strength)

    from mien.generators import open_translator
    from mien.live.changes import Translates
    from mien.recognise.any_size import AnySize
    from mien.recognise.recogniser import open_recogniser

    translator = open_translator(model)
    check_wish(translator, wish.to)
    changes = Translates(translator, AnySize(open_recogniser()), wish.strength)
    note = pictures.stamp(translator.mark) | {"to": dict(wish.to), "strength": wish.strength}
    return changes, dict(wish.to), note


def _edits(space: str, asked: dict[str, Any]) -> Opened:
    import json

    from mien.edit.recipe import Recipe

    named = options.own(space, asked["directions"])
    presences = options.presences(asked["set"] or [], "--set")
    amounts = options.numbers(asked["move"] or [], "--move")
    if not (presences or amounts):  # before edit tells of options that are not here
        raise BadInput("nothing to change; give --set NAME=PRESENCE or --move NAME=AMOUNT")
    recipe = Recipe(space, named, presences, amounts, tuple(asked["hold"] or ()))
    found = edit.directions_of(recipe)

    from mien.generators import open_space
    from mien.live.changes import Edits
    from mien.recognise.any_size import AnySize
    from mien.recognise.recogniser import open_recogniser

    opened = open_space(space)
    changes = Edits(opened, found, AnySize(open_recogniser()), recipe)
    note = pictures.stamp(opened.mark) | {"recipe": json.loads(recipe.to_json())}
    return changes, presences | amounts, note | pictures.weights_of(opened.card)


def _run(
    source: Source, shown: Shown, parts: tuple[Changes, dict[str, float], list[Sink]]
) -> Report:
    from mien.live import reader
    from mien.live.loop import Run
    from mien.live.sink import Nowhere, Several
    from mien.live.track import Tracker, TrackOptions

    changes, wish, sinks = parts
    frames = source.frames()
    if shown.paced and not source.endless:
        frames = reader.paced(frames, reader.WallClock())
    tracker = Tracker(changes.frame, TrackOptions(faces=shown.faces, every=shown.every))
    sink = Several(sinks) if sinks else Nowhere()
    with reader.Reader(frames, newest=shown.paced or source.endless) as ahead:
        return Run(ahead, tracker, changes, sink, wish)()


def _tell(report: Report, place: Path) -> None:
    dropped = f", {report.dropped} dropped" if report.dropped else ""
    typer.echo(
        f"{place}: {report.frames} frames, {report.changed} with a face changed{dropped}, "
        f"{report.rate:.1f} a second"
    )
    if report.interrupted:
        raise KeyboardInterrupt

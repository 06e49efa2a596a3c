"""The command `mien`: its commands, and errors as one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mien import __version__
from mien.cli import (
    attributes,
    demo,
    directions,
    edit,
    find,
    gallery,
    invert,
    live,
    models,
    output,
    sample,
    stores,
    study,
    study_directions,
    study_stargan,
    train,
    translate,
)
from mien.errors import BadInput, MienError

BAD_INPUT, INTERRUPTED = 2, 130  # exit codes
NO_MEMORY = (  # what torch says, in a RuntimeError, where a CPU's memory ends
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
)


class Mien(TyperGroup):
    """The root of all commands; expected errors leave as one sentence, never as a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the arguments name."""
        output.escape_output()
        with one_sentence():
            return super().invoke(ctx)


@contextmanager
def one_sentence() -> Iterator[None]:
    """Print an expected error as `mien: ...` on stderr and exit with its code.

    2 for bad input, files that cannot be used and too little memory, 130 for an interruption.
    """
    try:
        yield
    except MienError as error:
        _leave(str(error), BAD_INPUT)
    except BrokenPipeError:  # the reader of a pipe went away, as `| head` does
        raise
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _leave(f"{place}{error.strerror or error}", BAD_INPUT)
    except (MemoryError, RuntimeError) as error:
        if not _is_memory(error):
            raise
        _leave("there is not enough memory for this; ask for fewer or smaller pictures", BAD_INPUT)
    except KeyboardInterrupt:
        _leave("interrupted; what was acknowledged is kept", INTERRUPTED)


def _is_memory(error: Exception) -> bool:
    """Whether memory ran out, as Python or torch says it; known without importing torch."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"  # torch's, of every other device
        or any(text in str(error) for text in NO_MEMORY)
    )


def _leave(sentence: str, code: int) -> None:
    typer.echo(f"mien: {sentence}", err=True)
    raise typer.Exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mien {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=Mien,
    name="mien",
    no_args_is_help=True,
    rich_markup_mode=None,  # importing rich would double the time of --help
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def mien(
    ctx: typer.Context,
    precision: Annotated[
        str,
        typer.Option("--precision", help="fp32; bf16, faster on CPUs with units for it; int8."),
    ] = "fp32",
    engine: Annotated[
        str,
        typer.Option("--engine", help="torch, or openvino: faster on CPUs, most so with bf16."),
    ] = "torch",
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Edit the attributes of a face in a photo, and rank a gallery by the same wishes."""
    from mien.runtime.precision import precision as at

    with one_sentence():
        if precision == "int8" and engine == "torch":
            raise BadInput("--precision int8 needs --engine openvino; torch knows fp32 and bf16")
        ctx.with_resource(at(precision))
        if engine == "torch":  # which loads only where a command needs it
            return
        from mien.runtime.engine import engine as by

        ctx.with_resource(by(engine))


app.command("edit")(edit.edit)
app.command("translate")(translate.translate)
app.command("live")(live.live)
app.command("find")(find.find)
app.command("invert")(invert.invert)
app.command("sample")(sample.sample)
app.command("interpolate")(sample.interpolate)
app.command("attributes")(attributes.attributes)
app.command("demo")(demo.demo)
gallery.app.command("forget")(stores.forget)
gallery.app.command("export")(stores.export)
gallery.app.command("import")(stores.import_)
gallery.app.command("index")(stores.index)
app.add_typer(gallery.app, name="gallery")
app.add_typer(directions.app, name="directions")
app.add_typer(models.app, name="models")
app.add_typer(train.app, name="train")
study.app.command("directions")(study_directions.directions)
study.app.command("basis")(study_directions.basis)
study.app.command("stargan")(study_stargan.stargan)
app.add_typer(study.app, name="study")


def main() -> None:
    """The console script."""
    app()

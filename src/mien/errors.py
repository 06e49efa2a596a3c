"""One family of exceptions whose messages say what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MienError(Exception):
    """Base of every error mien raises on purpose.

    The message is one sentence that names the file or option and the mend;
    the command line prints it and exits with 2, a service answers 4xx with it.
    """


class BadInput(MienError, ValueError):
    """A value, option or file the user gave cannot be used."""


class NoFaceFound(BadInput):
    """The detector found no face in a photo."""


class UnknownName(BadInput):
    """A name that does not exist; the message suggests the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = list(known)
        super().__init__(f"unknown {kind} {name!r}{_suggestion(name, names)}")
        self.name = name
        self.known = names


class SpaceMismatch(MienError):
    """A latent, direction or gallery met another latent space than its own."""


class BadModel(MienError):
    """A model folder or checkpoint is missing, damaged or of another kind."""


class BadGallery(MienError):
    """A gallery folder is missing, damaged or of another layout."""


class MissingExtra(MienError, ImportError):
    """An optional dependency is not installed; the message gives the command."""


def _suggestion(name: str, known: list[str]) -> str:
    lowered = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)
    if close:
        return "; did you mean " + " or ".join(lowered[match] for match in close) + "?"
    shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
    return f"; known: {shown}" if known else ""

"""Sets of layers, as "all" or "0-3,5"."""

from __future__ import annotations

import re

from mien.errors import BadInput

FORM = re.compile(r"\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*")


def check_layers(text: str) -> None:
    """Raise BadInput unless `text` is "all" or a list of layers and ranges."""
    if text != "all" and not (isinstance(text, str) and FORM.fullmatch(text)):
        raise BadInput(f'layers are {text!r}, expected "all" or numbers and ranges as in "0-3,5"')


def layer_set(text: str, count: int) -> tuple[int, ...]:
    """The layers of a text, ascending, each once; ranges include both ends.

    count: layers there are, numbered from 0. Raises BadInput for another form,
    a range that runs backwards, or a layer that does not exist.
    """
    check_layers(text)
    if text == "all":
        return tuple(range(count))
    chosen: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if low > high:
            raise BadInput(f"layers {part} run backwards; write {high}-{low}")
        if high >= count:
            raise BadInput(f"there is no layer {high}; choose from 0 to {count - 1}")
        chosen.update(range(low, high + 1))
    return tuple(sorted(chosen))

"""Edit the attributes of a face in a photo, and rank a gallery by the same wishes.

>>> import mien
>>> sorted(mien.__all__)  # doctest: +NORMALIZE_WHITESPACE
['edit_photo', 'find_faces', 'open_directions', 'open_gallery', 'open_portrait',
 'open_recogniser', 'open_space', 'save_picture']

The verbs are imported when first used: importing torch costs seconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

VERBS = {  # verb -> (module, name there)
    "open_portrait": ("mien.faces.portrait", "open_portrait"),
    "open_space": ("mien.generators", "open_space"),
    "open_recogniser": ("mien.recognise.recogniser", "open_recogniser"),
    "open_directions": ("mien.directions", "open_directions"),
    "open_gallery": ("mien.search.find", "open_gallery"),
    "edit_photo": ("mien.edit.photo", "edit_photo"),
    "find_faces": ("mien.search.find", "find_faces"),
    "save_picture": ("mien.provenance.mark", "save_picture"),
}

__all__ = [
    "edit_photo",
    "find_faces",
    "open_directions",
    "open_gallery",
    "open_portrait",
    "open_recogniser",
    "open_space",
    "save_picture",
]

if TYPE_CHECKING:
    from mien.directions import open_directions
    from mien.edit.photo import edit_photo
    from mien.faces.portrait import open_portrait
    from mien.generators import open_space
    from mien.provenance.mark import save_picture
    from mien.recognise.recogniser import open_recogniser
    from mien.search.find import find_faces, open_gallery


def __getattr__(name: str) -> Any:
    """Import a verb on first use (PEP 562)."""
    if name not in VERBS:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    module, attribute = VERBS[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *VERBS])

"""The folder is the registry: open a file of a room by name, list what a room holds."""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points
from types import ModuleType

from mien.errors import UnknownName

NOT_PARTS = {"contract"}  # the protocol that a room's parts share


def available(room: str) -> list[str]:
    """Names of the interchangeable parts of `mien.<room>`, third-party ones included.

    A helper file of a room starts with an underscore; every other file is a part.
    """
    package = importlib.import_module(f"mien.{room}")
    own = [
        module.name
        for module in pkgutil.iter_modules(package.__path__)
        if not module.ispkg and not module.name.startswith("_") and module.name not in NOT_PARTS
    ]
    extra = [point.name for point in entry_points(group=f"mien.{room}")]
    return sorted({*own, *extra})


def open_part(room: str, name: str) -> ModuleType:
    """The module `mien.<room>.<name>`, or the third-party module of that name.

    Raises UnknownName, with the nearest names, when the room has no such file.
    """
    if name not in available(room):
        raise UnknownName(f"part of {room}", name, available(room))
    for point in entry_points(group=f"mien.{room}"):
        if point.name == name:
            module: ModuleType = point.load()
            return module
    return importlib.import_module(f"mien.{room}.{name}")

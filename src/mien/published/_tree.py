"""Values of a file as flat tables of arrays, and as plain JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mien.checks import check_finite
from mien.published._names import check_key
from mien.published._values import LEAVES, Array, Leaf, Record, Refused, printable

MOST_NODES, DEEPEST = 20_000, 32
SLACK, FACTOR = 1 << 26, 4  # bytes of all arrays: the slack, and so many times the file
VECTORS = {  # least dimensions of the arrays that directions are made of
    "boundary": 1, "direction": 1, "eigvec": 2,
    "comp": 2, "std": 1, "lat_comp": 2, "lat_stdev": 1,
}  # fmt: skip
LONGEST_VECTOR = 1e30  # beyond it, squares overflow float32
MOST_PLAIN, LONGEST_TEXT = 5_000, 1_000


def flatten(value: Any) -> dict[str, Leaf]:
    """Arrays by dotted name: of a state dict, a module of stylegan2-ada or a TF network.

    Raises Refused for trees that are deeper or wider than any network.
    """
    found: dict[str, Leaf] = {}
    waiting = [("", value, 0)]
    for _ in range(MOST_NODES):
        if not waiting:
            return found
        name, node, depth = waiting.pop()
        if isinstance(node, LEAVES):
            found[name] = node
        elif depth > DEEPEST:
            raise Refused("is nested deeper than any network")
        else:
            parts = [(f"{name}.{key}" if name else str(key), v) for key, v in _children(node)]
            waiting += [(part, child, depth + 1) for part, child in reversed(parts)]
    raise Refused(f"holds more than {MOST_NODES} parts, more than any network")


def _children(value: Any) -> Iterator[tuple[Any, Any]]:
    if not isinstance(value, Record):
        yield from value.items() if isinstance(value, dict) else ()
    elif "variables" in value.state:  # a TensorFlow network: its own numbers, then its parts'
        yield from _pairs(value.state["variables"])
        yield from _items(value.state.get("components"))
    else:  # a torch module
        for held in ("_parameters", "_buffers", "_modules"):
            yield from _items(value.state.get(held))


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    yield from value.items() if isinstance(value, dict) else ()


def _pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    for pair in value if isinstance(value, list) else ():
        if isinstance(pair, tuple | list) and len(pair) == 2:
            name, held = pair
            number = isinstance(held, float)
            yield check_key(name), Array(np.array(held, np.float32)) if number else held


def arrays(leaves: Mapping[str, Leaf], size: int) -> dict[str, np.ndarray]:
    """The numbers by name.

    size: bytes of the file; Refused when the arrays together are far larger.
    """
    found: dict[str, np.ndarray] = {}
    total = 0
    for name, leaf in leaves.items():
        _check_name(name)
        try:
            found[name] = leaf.array()
        except Refused as error:
            raise Refused(f"{error}, in {printable(name)}") from None
        total += found[name].nbytes
        if total > SLACK + FACTOR * size:
            raise Refused("unfolds to far more than its own size")
    return found


def check_directions(tensors: Mapping[str, np.ndarray], path: Path) -> None:
    """Refused, or for NaN BadInput, unless the vectors in a file of directions can be measured."""
    for name, least in VECTORS.items():
        array = tensors.get(name, np.ones((1, 1)))
        if not array.size or array.ndim < least:
            raise Refused(f"holds {name} of shape {list(array.shape)}, which are no directions")
        check_finite(array, f"{path} ({name})")
        if array.dtype.kind == "f" and np.abs(array).max() > LONGEST_VECTOR:
            raise Refused(f"holds huge values in {name}; it is damaged")


def _check_name(name: str) -> None:
    """A model folder must be able to hold the name."""
    if name == "__metadata__" or name.encode(errors="replace").decode() != name:
        raise Refused(f"names a tensor {printable(name)}, which no network does")


def plain(value: Any) -> Any:
    """The JSON value of options: numbers, texts, lists and tables; everything else is left out."""
    budget = [MOST_PLAIN]
    return _plain(value, budget, DEEPEST)


def _plain(value: Any, budget: list[int], depth: int) -> Any:
    budget[0] -= 1
    if budget[0] < 0 or not depth:
        return None
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    if isinstance(value, list | tuple):
        return [_plain(item, budget, depth - 1) for item in value[:MOST_PLAIN]]
    if isinstance(value, Record):
        return _plain(value.state, budget, depth - 1)
    if isinstance(value, dict):
        kept = list(value.items())[:MOST_PLAIN]
        return {str(key): _plain(item, budget, depth - 1) for key, item in kept}
    return None

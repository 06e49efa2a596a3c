"""Networks under our keys: the shapes they need, and tensors put into them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, TypeVarTuple, cast

import torch
from torch import nn

from mien.errors import BadModel
from mien.published._table import Arrays

Network = TypeVar("Network", bound=nn.Module)
Given = ParamSpec("Given")
Sizes = TypeVarTuple("Sizes")


def shapes(what: str, build: Callable[[], nn.Module]) -> dict[str, tuple[int, ...]]:
    """Shapes of a network's tensors by key; it is described, never allocated.

    A file of a few bytes may declare terabytes, which is worth the two seconds that torch
    takes to import its meta device. Raises BadModel naming `what` for a network too large
    even to describe.
    """
    try:
        with torch.device("meta"):
            state = build().state_dict()
    except RuntimeError as error:
        raise BadModel(f"{what} declares sizes that no network has") from error
    return {key: tuple(value.shape) for key, value in state.items()}


def loaded(network: Network, ours: Arrays) -> Network:
    """The network with these tensors under our keys, ready to run."""
    network.load_state_dict({key: torch.from_numpy(value) for key, value in ours.items()})
    return network.eval()


def opening(
    convert: Callable[Given, tuple[Arrays, *Sizes]], build: Callable[[*Sizes], Network]
) -> Callable[Given, Network]:
    """A function of `convert`'s arguments that gives the network it describes, ready to run."""

    def opened(*given: Given.args, **options: Given.kwargs) -> Network:
        ours, *sizes = convert(*given, **options)
        return loaded(build(*cast(Any, sizes)), ours)

    return opened

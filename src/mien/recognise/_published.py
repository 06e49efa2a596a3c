"""Weights that users bring: a published file read into a network of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeVar

import torch
from torch import nn

from mien.errors import BadInput, BadModel

Network = TypeVar("Network", bound=nn.Module)
Tensors = Mapping[str, torch.Tensor]
WRONG = (RuntimeError, UnpicklingError, KeyError, TypeError, AttributeError, EOFError)


def filled(
    network: Network, path: Path, names: tuple[str, str], state: Callable[[Any], Tensors]
) -> Network:
    """The network with a file's weights, ready to run and not to learn.

    names: of the published file and of what it holds, for messages. state: the tensors
    under the network's keys, of what the file contains. Raises BadInput when there is
    no such file, BadModel when it holds other weights.
    """
    file, what = names
    if not path.is_file():
        raise BadInput(f"there is no {path}; give the file {file}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state(content))
    except WRONG as error:
        raise BadModel(f"{path} does not hold {what}; fetch it again") from error
    return network.eval().requires_grad_(False)

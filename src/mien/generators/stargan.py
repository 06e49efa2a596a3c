"""StarGAN: one generator that translates faces to any combination of attributes.

Choi et al., "StarGAN: Unified Generative Adversarial Networks for Multi-Domain Image-to-Image
Translation" (CVPR 2018), table 4 and 5 of its appendix. Labels enter as constant maps beside the
colours, as published, or through lookup tables: a gain and a bias an attribute in every instance
normalisation. What is drawn may be added to the photo (Shen and Liu, "Learning Residual Images for
Face Attribute Manipulation", CVPR 2017), which keeps what nobody asked to change. Tensors carry the
published names; each face is normalised by its own statistics, training or not, as published.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mien.checkpoint import load_model, mark
from mien.checks import check_faces, check_shape
from mien.errors import BadInput, BadModel, UnknownName
from mien.generators._examples import example_faces
from mien.generators._labels import parts_of
from mien.generators.layers.gaussian import blurred
from mien.generators.layers.halving import Halving
from mien.generators.layers.instance import normalise, rescale
from mien.runtime.engine import Runner
from mien.runtime.quantise import quantised

CONDITIONS = ("maps", "lookup")
READINGS = ("sum", "mean", "first")
STATISTICS = ("instance", "kept", "running")
SLOPE = 0.01  # of the discriminator's rectifiers
BATCH = 16  # faces a forward pass; larger batches leave the cache


@dataclass(frozen=True)
class Architecture:
    """Sizes of a generator; saved in the card, rebuilds it."""

    size: int = 128  # px; the network itself takes any multiple of 4
    width: int = 64  # channels at full size; twice and four times as many below
    depth: int = 6  # residual blocks
    labels: int = 5  # length of the vector it is given
    condition: str = "maps"  # or "lookup"
    reading: str = "sum"  # or "mean": of the table's rows that labels name; "first" (argmax) alone
    residual: bool = False  # what the network draws is added to the photo
    blur: float = 0.0  # px: a Gaussian's deviation, by which that is blurred; 0: not
    coarse: int = 1  # times smaller than photos are what the network sees and what it adds
    statistics: str = "instance"  # "kept": a file's running ones too, unused; "running": used

    def __post_init__(self) -> None:
        for what, value, known in (
            ("condition", self.condition, CONDITIONS),
            ("reading of labels", self.reading, READINGS),
            ("statistics", self.statistics, STATISTICS),
        ):
            if value not in known:
                raise UnknownName(what, value, known)
        least = min(self.width, self.labels, self.coarse, self.size, self.depth + 1)
        if least < 1 or self.size % (4 * self.coarse):
            raise BadInput(
                f"a generator of size {self.size}, width {self.width}, depth {self.depth} and "
                f"{self.labels} labels cannot be; sizes are multiples of 4 * coarse={self.coarse}"
            )
        if self.coarse > 1 and not self.residual:
            raise BadInput(f"coarse={self.coarse} enlarges additions; set residual=true")
        if self.blur < 0 or (self.blur and not self.residual):
            raise BadInput(f"blur={self.blur} softens additions, by px; set residual=true")


@dataclass(frozen=True)
class Critic:
    """Sizes of a discriminator."""

    size: int = 128  # px, a multiple of 2 ** depth
    width: int = 64  # channels after the first level; doubled at each further one
    depth: int = 6  # levels, each half the size
    labels: int = 5  # names that it classifies

    def __post_init__(self) -> None:
        if self.depth < 1 or self.size < 1 or self.size % 2**self.depth:
            raise BadInput(
                f"a discriminator of {self.depth} levels needs faces of a multiple of "
                f"{2**self.depth} px, not {self.size}"
            )


class Norm(nn.Module):
    """Instance normalisation with one gain and bias, or those that labels look up."""

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, channels: int, shape: Architecture, rectify: bool = True) -> None:
        super().__init__()
        self.rectify, self.statistics = rectify, shape.statistics
        self.lookup = shape.condition == "lookup"
        if self.lookup:
            self.gain = nn.Parameter(torch.zeros(shape.labels, channels))  # beyond 1
            self.bias = nn.Parameter(torch.zeros(shape.labels, channels))
        else:
            self.weight = nn.Parameter(torch.ones(channels))
            self.bias = nn.Parameter(torch.zeros(channels))
        if shape.statistics != "instance":
            self.register_buffer("running_mean", torch.zeros(channels))
            self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> the same shape. chosen: fp32 [N, labels], weights of the table's rows."""
        if self.lookup:  # products, not matrices: autocast leaves them in fp32
            gain = 1 + (chosen[:, :, None] * self.gain).sum(1)
            bias = (chosen[:, :, None] * self.bias).sum(1)
        else:
            gain, bias = (value.expand(len(x), -1) for value in (self.weight, self.bias))
        if self.statistics == "running":
            return rescale(x, (self.running_mean, self.running_var), gain, bias, self.rectify)
        return normalise(x, gain, bias, self.rectify)


class Chain(nn.ModuleList):
    """Layers in a row; those that read labels are given them."""

    def forward(self, x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, C', H', W']."""
        for layer in self:
            x = layer(x, chosen) if isinstance(layer, Norm | Residual) else layer(x)
        return x


class Residual(nn.Module):
    """x + two 3x3 convolutions, each normalised."""

    def __init__(self, channels: int, shape: Architecture) -> None:
        super().__init__()
        first, second = (nn.Conv2d(channels, channels, 3, 1, 1, bias=False) for _ in range(2))
        norms = Norm(channels, shape), Norm(channels, shape, rectify=False)
        self.main = Chain([first, norms[0], nn.Identity(), second, norms[1]])

    def forward(self, x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> the same shape."""
        out: torch.Tensor = x + self.main(x, chosen)
        return out


class Generator(nn.Module):
    """Faces and labels to translated faces.

    An Identity stands where the published network has a rectifier, which here is part of
    the normalisation before it, so that names keep their numbers.
    """

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.shape = shape
        width, read = shape.width, 3 + (shape.labels if shape.condition == "maps" else 0)
        layers: list[nn.Module] = [nn.Conv2d(read, width, 7, 1, 3, bias=False)]
        layers += [Norm(width, shape), nn.Identity()]
        for wide in (width, 2 * width):
            layers += [nn.Conv2d(wide, 2 * wide, 4, 2, 1, bias=False)]
            layers += [Norm(2 * wide, shape), nn.Identity()]
        layers += [Residual(4 * width, shape) for _ in range(shape.depth)]
        for wide in (4 * width, 2 * width):
            layers += [nn.ConvTranspose2d(wide, wide // 2, 4, 2, 1, bias=False)]
            layers += [Norm(wide // 2, shape), nn.Identity()]
        layers += [nn.Conv2d(width, 3, 7, 1, 3, bias=False)]
        self.main = Chain(layers)

    def forward(self, faces: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Faces [N, 3, S, S] in [-1, 1], labels [N, L] in [0, 1] -> fp32 faces in (-1, 1).

        Of a residual one, about there: whoever shows them clips them.
        """
        return self.through(stack(faces, labels))

    def through(self, stacked: torch.Tensor) -> torch.Tensor:
        """The same of faces and labels in one tensor (see `stack`), as engines read it."""
        chosen, faces = self._chosen(stacked[:, 3:, 0, 0]), stacked[:, :3]
        read = faces if self.shape.condition == "lookup" else stacked
        read = F.avg_pool2d(read, self.shape.coarse) if self.shape.coarse > 1 else read
        out = self.main(read.contiguous(memory_format=torch.channels_last), chosen).float()
        if not self.shape.residual:
            return torch.tanh(out)
        out = F.interpolate(out, faces.shape[2:], mode="bilinear") if self.shape.coarse > 1 else out
        return faces + (blurred(out, self.shape.blur) if self.shape.blur else out)

    def _chosen(self, labels: torch.Tensor) -> torch.Tensor:
        """Weights of the lookup tables' rows."""
        labels = labels.float()
        if self.shape.reading == "first":  # nothing present reads the first row, as published
            return F.one_hot(labels.argmax(1), self.shape.labels).float()
        if self.shape.reading == "mean":
            return labels / labels.sum(1, keepdim=True).clamp(min=1)
        return labels


def stack(faces: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Faces [N, 3, S, S] with labels [N, L] as constant maps behind them: [N, 3 + L, S, S]."""
    maps = labels.to(faces)[:, :, None, None].expand(-1, -1, *faces.shape[2:])
    return torch.cat([faces, maps], 1)


class Discriminator(nn.Module):
    """Faces to a map of scores (photo or not) and the logits of their labels."""

    def __init__(self, critic: Critic) -> None:
        super().__init__()
        self.critic = critic
        channels = [3, *(critic.width * 2**level for level in range(critic.depth))]
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [Halving(before, after), nn.LeakyReLU(SLOPE, inplace=True)]
        self.main = nn.Sequential(*layers)
        self.conv1 = nn.Conv2d(channels[-1], 1, 3, 1, 1, bias=False)
        left = critic.size >> critic.depth
        self.conv2 = nn.Conv2d(channels[-1], critic.labels, left, bias=False)

    def forward(self, faces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[N, 3, S, S] -> (scores [N, 1, s, s], logits [N, labels]), s being S / 2 ** depth."""
        out = self.main(faces.contiguous(memory_format=torch.channels_last))
        return self.conv1(out), self.conv2(out).flatten(1)

    def slope(self, faces: torch.Tensor) -> torch.Tensor:
        """The gradient of the scores' sum at faces [N, 3, S, S]; weights learn through it.

        Between its kinks the network is linear, so the gradient is the transposed
        convolutions in reverse order. Written down it costs two thirds of
        differentiating twice, which sends zeros through the whole network.
        """
        out = faces.detach().contiguous(memory_format=torch.channels_last)
        kinks = []
        for layer in self.main:
            out = layer(out).detach()  # with gradients on: autocast keeps these weights' copies
            if isinstance(layer, nn.LeakyReLU):
                kinks.append(out > 0)
        out = F.conv_transpose2d(torch.ones_like(out[:, :1]), self.conv1.weight, padding=1)
        for level in reversed(range(self.critic.depth)):
            halving: Any = self.main[2 * level]
            out = halving.spread(torch.where(kinks[level], out, SLOPE * out))
        return out


class StarGAN:
    """The translator of a trained generator.

    names: all attributes it can be asked for. vocabulary: the parts, one a data set
    that it learned from, and which of their names exclude each other.
    """

    def __init__(self, network: Generator, card: dict[str, Any]) -> None:
        self.network = network.requires_grad_(False).eval()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.card, self.mark = card, mark(card)
        self.vocabulary = parts_of(card["parts"])
        self.names = self.vocabulary.names
        self.size, self.frame = card["input"]["size"], card["input"]["frame"]
        self.soft = network.shape.blur > 0 or network.shape.coarse > 1
        self._run = Runner(network.through, self._rounded)

    @torch.inference_mode()
    def translate(self, faces: np.ndarray, labels: np.ndarray, part: int = 0) -> np.ndarray:
        """Faces float32 [N, 3, size, size] in [-1, 1] with labels [N, c] of one part in [0, 1].

        Returns faces of the same shape and range. Raises BadInput for other shapes.
        """
        check_faces(faces)
        if faces.shape[2] != self.size:
            raise BadInput(f"faces are {faces.shape[2]} px, {self.card['name']} reads {self.size}")
        check_shape(labels, (len(faces), len(self.vocabulary.parts[part].names)), "labels")
        vectors = self.vocabulary.vector(torch.from_numpy(np.asarray(labels, np.float32)), part)
        pairs = zip(torch.from_numpy(faces).split(BATCH), vectors.split(BATCH), strict=True)
        out = [self._run(stack(some, given)).clamp(-1, 1).numpy() for some, given in pairs]
        return np.concatenate(out) if len(faces) else faces.copy()

    def _rounded(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """The generator with convolutions in 8 bits."""
        faces = example_faces(self.size)
        random = torch.Generator().manual_seed(0)
        labels = torch.randint(2, (len(faces), self.network.shape.labels), generator=random)
        stacked = stack(faces, labels)
        return quantised(self.network, lambda network: network.through(stacked)).through


def open_translator(folder: Path) -> StarGAN:
    """Open a model folder of `mien train stargan` or of an imported file.

    Raises BadModel when its tensors do not fit its card.
    """
    tensors, card = load_model(folder)
    try:
        network = Generator(Architecture(**card["options"]))
        network.load_state_dict({key: torch.from_numpy(value) for key, value in tensors.items()})
        return StarGAN(network, card)
    except (RuntimeError, TypeError, KeyError) as error:
        raise BadModel(f"{folder} does not hold the network its card describes") from error

"""What the spaces of PGGAN, StyleGAN and StyleGAN2 share: opening, drawing, decoding, refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
import torch
from torch import nn

from mien.checkpoint import load_model, mark
from mien.checks import check_faces
from mien.errors import BadInput, BadModel
from mien.runtime.engine import Runner
from mien.types import Latent, check_same_space

Shape = TypeVar("Shape")
Network = TypeVar("Network", bound=nn.Module)
PIXELS = 2**18  # of a batch of faces: larger ones leave the cache, smaller ones reread weights


def open_network(
    folder: Path, shape: type[Shape], network: Callable[[Shape], Network]
) -> tuple[Network, dict[str, Any]]:
    """(network with the folder's weights, card).

    Raises BadModel when the card's options or the tensors do not fit.
    """
    tensors, card = load_model(folder)
    options = card.get("options", {})
    known = {field.name for field in fields(shape)}  # type: ignore[arg-type]
    strange = sorted(options.keys() - known)
    if strange:
        raise BadModel(f"the card of {folder} has the unknown option {strange[0]}; import it again")
    try:
        made = network(shape(**options))
        made.load_state_dict({key: torch.from_numpy(value) for key, value in tensors.items()})
    except (RuntimeError, BadInput) as error:
        raise BadModel(f"{folder} does not hold the network its card describes") from error
    return made, card


def decode_in_batches(
    values: np.ndarray, size: int, decode: Callable[[torch.Tensor], torch.Tensor]
) -> np.ndarray:
    """Faces float32 [N, 3, size, size], clipped to [-1, 1], a few at a time."""
    step = max(1, min(32, PIXELS // size**2))
    parts = [np.zeros((0, 3, size, size), np.float32)]
    with torch.inference_mode():
        for start in range(0, len(values), step):
            faces = decode(torch.from_numpy(values[start : start + step]))
            parts.append(faces.float().clamp(-1, 1).contiguous().numpy())
    return np.concatenate(parts)


class Inverter(Protocol):
    """What finds the latents of photos; a file of `encoders` opens one."""

    def codes(self, faces: np.ndarray) -> np.ndarray:
        """Faces float32 [N, 3, S, S] in [-1, 1] -> values of latents."""
        ...


class Options(Protocol):
    """What a space reads of a generator's Architecture."""

    @property
    def size(self) -> int:
        """Pixels of a face's side."""
        ...

    @property
    def labels(self) -> int:
        """Classes of a conditional model, else 0."""
        ...


class Shaped(Protocol):
    """A generator."""

    @property
    def shape(self) -> Options:
        """Its Architecture."""
        ...

    def eval(self) -> Self:
        """Itself, set to inference."""
        ...

    def requires_grad_(self, requires_grad: bool) -> Self:
        """Itself, learning or not."""
        ...


Painter = TypeVar("Painter", bound=Shaped)


class Painted(Generic[Painter]):
    """The space of a generator that reads photos by an inverter only, but for `sample`."""

    space: str
    inverter: Inverter | None = None

    def __init__(
        self, network: Painter, card: dict[str, Any], paint: Callable[[torch.Tensor], torch.Tensor]
    ) -> None:
        """paint: latents [N, ...] to faces [N, 3, size, size], not clipped."""
        if network.shape.labels:
            raise BadInput(f"{card['name']} is conditional; use its Generator with labels")
        self.network, self._paint = network.eval().requires_grad_(False), Runner(paint)
        self.card, self.mark = card, mark(card)
        self.size, self.frame = network.shape.size, card["input"]["frame"]

    def encode(self, faces: np.ndarray) -> Latent:
        """Latents of faces float32 [N, 3, size, size] in [-1, 1] by the inverter attached.

        Raises BadInput when there is none.
        """
        if self.inverter is None:
            raise BadInput(
                f"{self.card['name']} cannot read a photo by itself; find its latent with an "
                "inverter (an encoder trained for this generator, or optimisation)"
            )
        check_faces(faces)
        if faces.shape[2] != self.size:
            raise BadInput(
                f"faces are {faces.shape[2]} px, {self.card['name']} reads {self.size} px"
            )
        return Latent(self.inverter.codes(faces), self.space, self.mark)

    def render(self, values: torch.Tensor) -> torch.Tensor:
        """Values of latents [N, ...] -> faces, not clipped; carries gradients."""
        return self._paint(values)

    def decode(self, latent: Latent) -> np.ndarray:
        """Faces float32 [N, 3, size, size], clipped to [-1, 1], with any stored noise.

        Raises SpaceMismatch for a latent of another model.
        """
        check_same_space(
            "the latent", (latent.space, latent.model), "this model", (self.space, self.mark)
        )
        return decode_in_batches(latent.values, self.size, self._paint)


def draw(count: int, width: int, seed: int) -> torch.Tensor:
    """z [count, width] of a normal distribution; the same seed gives the same numbers."""
    z = np.random.default_rng(seed).standard_normal((count, width))
    return torch.from_numpy(z.astype(np.float32))


def mix(first: torch.Tensor, second: torch.Tensor, crossover: int) -> torch.Tensor:
    """w+ rows of `first` before `crossover`, of `second` from it on (section 3.1 of StyleGAN)."""
    return torch.cat([first[:, :crossover], second[:, crossover:]], 1)


def truncation_of(card: dict[str, Any], rows: int) -> torch.Tensor | None:
    """The card's truncation, one factor a row of w+; None where the card has none.

    A card has a number, or {"psi": number, "layers": rows from the first, None for all}.
    """
    stored = card.get("truncation")
    if stored is None:
        return None
    options = stored if isinstance(stored, dict) else {"psi": stored}
    factors = torch.full((rows,), float(options["psi"]))
    factors[rows if options.get("layers") is None else options["layers"] :] = 1
    return factors

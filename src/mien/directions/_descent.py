"""The numeric pieces of Algorithm 2: hinge loss with gradient, starting points, steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import BadInput, MissingExtra, UnknownName

if TYPE_CHECKING:
    import torch

BLOCK, BLOCK_BF16 = 64, 512  # faces pulled at a time, while they are in the cache
LANES = 16  # float32 numbers of a register: so many columns take no longer than one
AFRESH = 100  # epochs after which all faces are pulled again, so that roundings do not add up
Step = Callable[[np.ndarray, np.ndarray], None]  # takes the gradients of F and b


def hinge_losses(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """max(0, 1 - y * score) of scores [N, M]; labels 1 and -1 count, unknown (0) costs 0."""
    return np.where(labels != 0, np.maximum(1 - labels * scores, 0), 0.0)


def mean_hinge(scores: np.ndarray, labels: np.ndarray) -> float:
    """Hinge averaged over the faces whose label is known, summed over the attributes."""
    return float((hinge_losses(scores, labels).sum(axis=0) * per_face(labels)).sum())


def per_face(labels: np.ndarray) -> np.ndarray:
    """float64 [M]: 1 / number of known labels of each attribute."""
    return np.asarray(1 / np.maximum((labels != 0).sum(axis=0), 1))


def scores(latents: np.ndarray, vectors: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """latents [N, D] @ vectors [D, M] + bias [1, M]: [N, M], the product in the latents' precision.

    By torch, whose product with a few columns takes less time than numpy's.
    """
    import torch

    narrow = torch.from_numpy(vectors.astype(latents.dtype))
    return np.asarray((torch.from_numpy(latents) @ narrow).numpy() + bias)


class Pulled:
    """Which faces pulled at the basis in the last epoch, and the sum of their pulls.

    Between two epochs few faces come to be on the right side of their margin or leave it. The
    sum changes by these alone, and only their latents are fetched and multiplied.
    """

    def __init__(self) -> None:
        self.pull: np.ndarray | None = None  # [N, M] in {-1, 0, 1}
        self.sum = np.empty(0)  # float64 [M, D]
        self.epochs = 0

    def add(self, latents: torch.Tensor, pull: np.ndarray) -> np.ndarray:
        """pull' latents, float64 [M, D], of latents [N, D]."""
        rows = np.arange(len(pull))
        if self.pull is not None and self.epochs % AFRESH:
            rows = np.flatnonzero((pull != self.pull).any(axis=1))
        self.epochs += 1
        if self.pull is None or len(rows) > len(pull) // 2:
            self.sum = _products(latents, pull, np.arange(len(pull)))
        elif len(rows):
            self.sum = self.sum + _products(latents, pull - self.pull, rows)
        self.pull = pull
        return self.sum


def hinge_gradient(
    vectors: np.ndarray,  # [D, M] F
    bias: np.ndarray,  # [1, M] b
    latents: np.ndarray | torch.Tensor,  # [N, D]; a tensor of bfloat16 is multiplied as such
    labels: np.ndarray,  # [N, M]
    weight: np.ndarray,  # [M], 1 for the sum over faces, 1 / N for the mean
    pulled: Pulled | None = None,  # of the last epoch on the same latents; changed
) -> tuple[float, np.ndarray, np.ndarray]:
    """(loss, gradient of F, gradient of b) of the weighted hinge, all attributes at once."""
    import torch

    values = latents if isinstance(latents, torch.Tensor) else torch.from_numpy(latents)
    halved = values.dtype == torch.bfloat16
    rows = torch.from_numpy(np.ascontiguousarray(vectors.T))
    rows = rows.to(torch.float32 if halved else values.dtype)
    wide = torch.nn.functional.pad(rows, (0, 0, 0, -len(rows) % LANES))
    found = values @ (_halves(rows).T if halved else wide.T.contiguous())
    if halved:
        found = found[:, : len(rows)].float() + found[:, len(rows) :]
    signs = torch.from_numpy(np.ascontiguousarray(labels, np.float64))
    margins = 1 - signs * (found[:, : len(rows)].double() + torch.from_numpy(bias))
    pull = torch.where(margins > 0, signs, 0)  # minus d loss / d score, but for the weight
    losses = (margins * pull.abs()).sum(0).numpy()
    slope = (pulled or Pulled()).add(values, pull.to(torch.int8).numpy())
    slope_bias = pull.sum(0, keepdim=True).numpy() * weight
    return float((losses * weight).sum()), -slope.T * weight, -slope_bias


def _products(latents: torch.Tensor, pull: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """pull' latents of some rows, float64 [M, D]; summed as precisely as the latents are."""
    import torch

    halved = latents.dtype == torch.bfloat16
    total = torch.zeros(pull.shape[1], latents.shape[1], dtype=latents.dtype)
    total = total.float() if halved else total
    block = BLOCK_BF16 if halved else BLOCK
    for start in range(0, len(rows), block):
        chosen: np.ndarray | slice = rows[start : start + block]
        if len(rows) == len(latents):
            chosen = slice(start, start + block)  # nothing is copied
        part, signs = latents[chosen], torch.from_numpy(pull[chosen].T)
        if halved:
            total += signs.to(part.dtype) @ part
        else:
            total.addmm_(signs.to(part.dtype), part)
    return total.double().numpy()


def _halves(rows: torch.Tensor) -> torch.Tensor:
    """float32 [M, D] -> bfloat16 [2 M, D]: numbers as 8 bits can say them, and what is left."""
    import torch

    first = rows.to(torch.bfloat16)
    return torch.cat([first, (rows - first.float()).to(torch.bfloat16)])


def soft_threshold(vectors: np.ndarray, amount: float) -> np.ndarray:
    """The proximal step of amount * |F|_1: entries move towards 0 and stop there."""
    return np.asarray(np.sign(vectors) * np.maximum(np.abs(vectors) - amount, 0))


def gradient_step(vectors: np.ndarray, bias: np.ndarray, rate: float) -> Step:
    """Plain gradient descent on F and b, in place."""

    def step(slope: np.ndarray, slope_bias: np.ndarray) -> None:
        np.subtract(vectors, rate * slope, out=vectors)
        np.subtract(bias, rate * slope_bias, out=bias)

    return step


def torch_step(
    vectors: np.ndarray, bias: np.ndarray, rate: float, name: str, options: Mapping[str, Any]
) -> Step:
    """A step of any torch.optim class by its name (any case), sharing memory with F and b.

    Raises UnknownName for another name or a class that must call the loss
    itself (LBFGS), BadInput for options the class refuses, MissingExtra without
    torch.
    """
    try:
        import torch
    except ImportError:
        raise MissingExtra(
            f"optimiser {name!r} needs torch; install it or choose 'gradient'"
        ) from None
    parameters = [torch.nn.Parameter(torch.from_numpy(array)) for array in (vectors, bias)]
    kind = _torch_class(torch.optim, name)
    try:
        optimiser = kind(parameters, lr=rate, **options)
    except (TypeError, ValueError) as error:
        raise BadInput(f"optimiser {name!r} refuses these options: {error}") from error

    def step(slope: np.ndarray, slope_bias: np.ndarray) -> None:
        for parameter, gradient in zip(parameters, (slope, slope_bias), strict=True):
            parameter.grad = torch.from_numpy(np.ascontiguousarray(gradient))
        optimiser.step()

    return step


def _torch_class(module: Any, name: str) -> Any:
    classes = {
        key.lower(): value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, module.Optimizer)
    }
    for unfit in ("optimizer", "lbfgs", "sparseadam"):
        classes.pop(unfit, None)
    if name.lower() not in classes:
        raise UnknownName("optimiser", name, ["gradient", *sorted(classes)])
    return classes[name.lower()]

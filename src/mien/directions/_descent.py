"""The numeric pieces of Algorithm 2: hinge loss with gradient, starting points, steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import BadInput, MissingExtra, UnknownName

if TYPE_CHECKING:
    import torch

BLOCK = 512  # faces scored and pulled at a time: 19 MB of latents of 9,216 float32 numbers
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


def hinge_gradient(
    vectors: np.ndarray,  # [D, M] F
    bias: np.ndarray,  # [1, M] b
    latents: np.ndarray | torch.Tensor,  # [N, D]; a tensor of bfloat16 is multiplied as such
    labels: np.ndarray,  # [N, M]
    weight: np.ndarray,  # [M], 1 for the sum over faces, 1 / N for the mean
) -> tuple[float, np.ndarray, np.ndarray]:
    """(loss, gradient of F, gradient of b) of the weighted hinge, all attributes at once.

    Blocks of faces are scored and pulled while they are in the cache, so that the latents,
    hundreds of megabytes of them, are fetched from memory once.
    """
    import torch

    values = latents if isinstance(latents, torch.Tensor) else torch.from_numpy(latents)
    halved = values.dtype == torch.bfloat16
    rows = torch.from_numpy(np.ascontiguousarray(vectors.T))
    rows = rows.to(torch.float32 if halved else values.dtype)
    columns = (_halves(rows) if halved else rows).T
    loss, slope, slope_bias = 0.0, torch.zeros_like(rows), np.zeros_like(bias)
    for start in range(0, len(values), BLOCK):
        part, known = values[start : start + BLOCK], labels[start : start + BLOCK]
        found = part @ columns
        if halved:
            found = found[:, : len(rows)].float() + found[:, len(rows) :]
        losses = hinge_losses(found.numpy() + bias, known)
        pull = np.where(losses > 0, known, 0)  # minus d loss / d score, but for the weight
        slope -= torch.from_numpy(pull.T.astype(np.int8)).to(part.dtype) @ part
        slope_bias -= pull.sum(axis=0) * weight
        loss += float((losses * weight).sum())
    return loss, slope.numpy().T.astype(np.float64) * weight, slope_bias


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

"""Inversion by gradient descent, from the average face or from an encoder's latents.

The projector of Karras et al., "Analyzing and Improving the Image Quality of
StyleGAN" (CVPR 2020), appendix D: a rate that rises and falls, noise on the
latent that fades, and, if wanted, noise maps learned beside it under a penalty
on their correlation. Deep features are MobileNetV2's in the place of LPIPS.
From an encoder's latents (hybrid) a penalty keeps the result near them, where
edits work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from mien.checks import check_shape
from mien.errors import BadInput, UnknownName
from mien.generators.stylegan2 import StyleGAN2
from mien.recognise import mobilenet_v2
from mien.recognise.deep_features import FeatureLoss
from mien.recognise.imagenet import load_trunk
from mien.types import Latent, check_same_space

RISE, FALL = 0.05, 0.25  # shares of the steps in which the rate rises and falls
FADED = 0.75  # share of the steps after which no noise is added to the latent
SHAKE = 0.05  # of that noise at first, in standard deviations of w
FINEST = 8  # side of a noise map, halved, below which its correlation is not looked at
SPREAD = 10_000  # samples that the average and the deviation of w come from
SPACES = ("w", "w+")
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Options:
    """Options of one inversion."""

    steps: int = 500
    rate: float = 0.1  # of Adam at its highest
    rows: str = "w+"  # or "w": one style for all rows
    pixel: float = 1.0  # weight of the mean squared error, faces in [-1, 1]
    feature: float = 0.1  # weight of the deep-feature distance
    stay: float = 0.0  # weight of the mean squared distance from the start
    shake: bool = True  # add fading noise to the latent
    noise: float = 0.0  # weight of the noise maps' correlation (1e5 as published); 0 learns none
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rows not in SPACES:
            raise UnknownName("kind of rows", self.rows, SPACES)
        if self.steps < 1 or not self.rate > 0:
            raise BadInput(f"got {self.steps} steps at rate {self.rate}, expected more than 0")


@dataclass(frozen=True)
class Hybrid(Options):
    """The same from an encoder's latents: few and small steps, near the start."""

    steps: int = 100
    rate: float = 0.02
    stay: float = 0.02
    shake: bool = False


@dataclass(frozen=True)
class Found:
    """Latents w+ of faces, the faces [N, 3, S, S] they decode to, and the noise maps learned."""

    latent: Latent
    faces: np.ndarray
    noise: list[np.ndarray]


def invert(
    space: StyleGAN2, faces: np.ndarray, options: Options | None = None,
    start: Latent | None = None, progress: Progress | None = None,
) -> Found:  # fmt: skip
    """Latents of faces float32 [N, 3, size, size] in [-1, 1].

    start: an encoder's latents of the same faces; then the defaults are Hybrid's.
    Faces go through together: a few at a time fit the memory. Raises BadInput for a
    space other than a StyleGAN2's, SpaceMismatch for a start of another space.
    """
    if not isinstance(space, StyleGAN2):
        raise BadInput("inversion by optimisation knows the latents of StyleGAN2 only")
    check_shape(faces, (None, 3, space.size, space.size), "faces")
    if start is not None:
        known = (start.space, start.model)
        check_same_space("the start", known, "this model", (space.space, space.mark))
    chosen = options or (Options() if start is None else Hybrid())
    return _Search(space, faces, chosen, start).run(progress)


class _Search:
    def __init__(
        self, space: StyleGAN2, faces: np.ndarray, options: Options, start: Latent | None
    ) -> None:
        self.space, self.options = space, options
        self.network = space.network
        self.wanted = torch.from_numpy(np.ascontiguousarray(faces))
        self.features = FeatureLoss(load_trunk(mobilenet_v2))
        self.random = torch.Generator().manual_seed(options.seed)
        average, self.deviation = self._of_samples()
        rows = 1 if options.rows == "w" else self.network.shape.styles
        first = average.expand(len(faces), rows, -1)
        if start is not None:
            given = torch.from_numpy(start.values)
            first = given if options.rows == "w+" else given.mean(1, keepdim=True)
        self.first = first.clone()
        self.codes = first.clone().requires_grad_()
        stored = [layer.get_buffer("noise") for layer in self.network.synthesis.layers]
        self.noise = [x.expand(len(faces), 1, *x.shape).clone() for x in stored]

    def run(self, progress: Progress | None) -> Found:
        learning = [self.codes]
        if self.options.noise:
            learning += [x.requires_grad_() for x in self.noise]
        optimiser = torch.optim.Adam(learning, self.options.rate)
        for step in range(self.options.steps):
            share = step / self.options.steps
            optimiser.param_groups[0]["lr"] = self.options.rate * _pace(share)
            loss, text = self._loss(share)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if self.options.noise:
                self._normalise()
            if progress is not None:
                progress(step + 1, self.options.steps, text)
        with torch.no_grad():
            codes = self._rows(self.codes.detach()).contiguous()
            faces = self.network.synthesis(codes, self._maps()).float().clamp(-1, 1)
        latent = Latent(codes.numpy(), self.space.space, self.space.mark)
        learned = [x.detach().numpy() for x in self.noise] if self.options.noise else []
        return Found(latent, faces.contiguous().numpy(), learned)

    def _loss(self, share: float) -> tuple[torch.Tensor, str]:
        options, codes = self.options, self.codes
        if options.shake:
            height = self.deviation * SHAKE * max(0.0, 1 - share / FADED) ** 2
            codes = codes + height * torch.randn(codes.shape, generator=self.random)
        drawn = self.network.synthesis(self._rows(codes), self._maps()).float()
        pixel, feature = F.mse_loss(drawn, self.wanted), self.features(drawn, self.wanted)
        loss = options.pixel * pixel + options.feature * feature
        if options.stay:
            loss = loss + options.stay * F.mse_loss(self.codes, self.first)
        if options.noise:
            loss = loss + options.noise * torch.stack([correlation(x) for x in self.noise]).sum()
        return loss, f"pixel {pixel.item():.4f}"

    def _rows(self, codes: torch.Tensor) -> torch.Tensor:
        return codes.expand(-1, self.network.shape.styles, -1)

    def _maps(self) -> str | list[torch.Tensor]:
        return list(self.noise) if self.options.noise else "stored"

    @torch.no_grad()
    def _normalise(self) -> None:
        for x in self.noise:
            mean, deviation = x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True)
            x.sub_(mean).div_(deviation)

    @torch.no_grad()
    def _of_samples(self) -> tuple[torch.Tensor, float]:
        """The mean w [1, 1, D] of samples, and the root of their mean squared distance to it."""
        z = torch.randn(SPREAD, self.network.shape.mapping[0], generator=self.random)
        w = self.network.mapping(z).float()
        mean = w.mean(0)
        return mean[None, None], float((w - mean).square().sum(1).mean().sqrt())


def correlation(noise: torch.Tensor) -> torch.Tensor:
    """How much noise maps [N, 1, S, S] resemble themselves one place on, at all scales."""
    total = torch.zeros(())
    while True:
        for axis in (2, 3):
            total = total + (noise * noise.roll(1, axis)).mean((1, 2, 3)).square().sum()
        if noise.shape[2] <= FINEST:
            return total
        noise = F.avg_pool2d(noise, 2)


def _pace(share: float) -> float:
    """The share of the rate: up linearly, down as a cosine at the end."""
    fall = min(1.0, (1 - share) / FALL)
    return float(0.5 - 0.5 * np.cos(np.pi * fall)) * min(1.0, share / RISE + 1e-3)

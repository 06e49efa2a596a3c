"""Pivotal tuning: a generator's weights bent until one latent draws one photo.

Roich et al., "Pivotal Tuning for Latent-based Editing of Real Images" (ACM TOG
2022). The latent found by an inverter, the pivot, stays; the synthesis network
learns on pixels and deep features (MobileNetV2's in the place of LPIPS). What it
draws of other latents may be held to what it drew before, their locality term.
Mapping, average and stored noise maps stay, so that latents, directions,
encoders and galleries of the original serve the tuned space as well.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from mien.checkpoint import CARD, WEIGHTS, load_card, own_mark, save_model
from mien.checks import check_shape
from mien.errors import BadInput
from mien.files import write_bytes
from mien.generators import ENCODER
from mien.generators.stylegan2 import Generator, StyleGAN2
from mien.recognise import mobilenet_v2
from mien.recognise.deep_features import FeatureLoss
from mien.recognise.imagenet import load_trunk
from mien.types import Latent, check_same_space

KEPT = (  # of a generator's card
    "kind", "architecture", "space", "options", "latent", "input", "truncation", "licence",
)  # fmt: skip
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Options:
    """Options of one tuning; steps, rate and alpha as published."""

    steps: int = 350
    rate: float = 3e-4  # Adam's
    pixel: float = 1.0  # weight of the mean squared error, faces in [-1, 1]
    feature: float = 0.1  # weight of the deep-feature distance
    locality: float = 0.0  # weight of both elsewhere, tuned against untuned; 0.1 as published
    alpha: float = 30 / 18**0.5  # distance of elsewhere, root mean square over rows: 30 over 18
    enough: float = 0.0  # stop when pixel and feature terms together fall below this
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.rate > 0:
            raise BadInput(f"got {self.steps} steps at rate {self.rate}, expected more than 0")
        if not (0 <= self.locality < np.inf and self.alpha > 0):
            raise BadInput(
                f"got locality {self.locality} at alpha {self.alpha}, expected 0 or more at a "
                "distance above 0"
            )


def tune(
    space: StyleGAN2, faces: np.ndarray, latent: Latent, options: Options | None = None,
    progress: Progress | None = None,
) -> StyleGAN2:  # fmt: skip
    """A copy of the space that draws `faces` float32 [N, 3, size, size] of `latent` [N, L, D].

    The space given is left as it is. The copy bears its mark and its inverter. Raises
    BadInput for a space other than a StyleGAN2's and for a tuning that diverges,
    SpaceMismatch for a latent of another space.
    """
    if not isinstance(space, StyleGAN2):
        raise BadInput("pivotal tuning knows the generators of StyleGAN2 only")
    check_shape(faces, (None, 3, space.size, space.size), "faces")
    check_shape(latent.values, (len(faces), *latent.values.shape[1:]), "the latent")
    known = (latent.space, latent.model)
    check_same_space("the latent", known, "this model", (space.space, space.mark))
    network = _Tuning(space, faces, latent, options or Options()).run(progress)
    tuned = StyleGAN2(network, {**space.card, "latents_of": space.mark})
    tuned.inverter = space.inverter
    return tuned


def save_tuned(
    folder: Path, space: StyleGAN2, about: dict[str, Any], encoder: Path | None = None
) -> dict[str, Any]:
    """Write what `tune` gave as a model folder; its card.

    about: how the tuning came about, kept as the card's "tuned" beside the generator's
    mark. encoder: folder of the encoder that reads photos for the generator, copied
    into it. Raises BadInput for a folder that exists.
    """
    if folder.exists():
        raise BadInput(f"{folder}, the tuned model's folder, exists; remove it or choose another")
    if encoder is not None:
        (folder / ENCODER).mkdir(parents=True)
        for name in (WEIGHTS, CARD):
            write_bytes(folder / ENCODER / name, (encoder / name).read_bytes())
    card = {key: space.card[key] for key in KEPT if key in space.card} | {
        "name": folder.resolve().name,
        "latents_of": space.mark,
        "data": f"{own_mark(space.card)}, tuned to one photo whose likeness it holds",
        "tuned": {"generator": own_mark(space.card), **about},
    }
    state = space.network.state_dict()
    save_model(folder, {key: value.numpy() for key, value in state.items()}, card)
    return load_card(folder)


class _Tuning:
    def __init__(
        self, space: StyleGAN2, faces: np.ndarray, latent: Latent, options: Options
    ) -> None:
        self.before, self.options = space.network, options
        self.network = copy.deepcopy(space.network)
        self.wanted = torch.from_numpy(np.ascontiguousarray(faces))
        self.pivot = torch.from_numpy(latent.values)
        self.features = FeatureLoss(load_trunk(mobilenet_v2))
        self.random = torch.Generator().manual_seed(options.seed)

    def run(self, progress: Progress | None) -> Generator:
        options = self.options
        learning = list(self.network.synthesis.requires_grad_(True).parameters())
        optimiser = torch.optim.Adam(learning, options.rate)
        for step in range(options.steps):
            drawn = self.network.synthesis(self.pivot).float()
            own = self._distance(drawn, self.wanted)
            if not own.isfinite():
                raise BadInput(f"tuning diverged at rate {options.rate:g}; choose a lower one")
            if own < options.enough:
                break
            loss = own + options.locality * self._elsewhere() if options.locality else own
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if progress is not None:
                progress(step + 1, options.steps, f"loss {own.item():.4f}")
        return self.network

    def _distance(self, drawn: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        options = self.options
        pixel, feature = F.mse_loss(drawn, wanted), self.features(drawn, wanted)
        total: torch.Tensor = options.pixel * pixel + options.feature * feature
        return total

    def _elsewhere(self) -> torch.Tensor:
        """How the picture changed `alpha` from the pivot, towards random styles."""
        z = torch.randn(len(self.pivot), self.before.shape.mapping[0], generator=self.random)
        with torch.no_grad():
            away = self.before.spread(self.before.mapping(z).float()) - self.pivot
            length = away.square().sum(2).mean(1).sqrt()[:, None, None]
            there = self.pivot + self.options.alpha * away / length
            wanted = self.before.synthesis(there).float()
        return self._distance(self.network.synthesis(there).float(), wanted)

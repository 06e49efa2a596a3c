"""Faces of a space itself as training data: sampled, decoded, labelled by a recogniser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mien.directions.contract import Labelled, Recognises
from mien.errors import BadInput
from mien.types import Attributes

if TYPE_CHECKING:
    from mien.generators.contract import Space

BATCH = 64  # faces decoded at once


@dataclass(frozen=True)
class SampleOptions:
    """Which faces are sampled."""

    count: int = 2000
    seed: int = 0
    truncation: float = 1.0  # below 1 the faces are better and more alike


def labelled_samples(
    space: Space,
    recogniser: Recognises,
    options: SampleOptions,
    tell: Callable[[int, int, str], None] = lambda *_: None,
) -> Labelled:
    """Sampled latents with the recogniser's probabilities as scores, labels cut at 0.5.

    As InterFaceGAN does, so that a generator without an encoder has labelled latents. The
    recogniser must read faces of the space's size (`mien.recognise.any_size`). tell(done,
    total, text) is called after each batch.
    """
    if options.count < 1:
        raise BadInput(f"{options.count} samples were asked for; ask for 1 or more")
    latent = space.sample(options.count, options.seed, options.truncation)
    scores = []
    for start in range(0, len(latent), BATCH):
        faces = space.decode(latent[start : start + BATCH])
        scores.append(recogniser.probabilities(faces))
        tell(min(start + BATCH, len(latent)), len(latent), "label samples")
    read = np.concatenate(scores)
    table = np.where(read > 0.5, 1, -1).astype(np.int8)
    return Labelled(latent, Attributes(tuple(recogniser.names), table), read, space)

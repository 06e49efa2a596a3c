"""PCA of samples of the prior, for the record: its axes are noise.

A notebook on InterFaceGAN (Gkao03/Facial_Expression_Synthesis, 2022) fits PCA to 10,000
codes drawn from a PGGAN's prior and names the first axes "pose" and "smile" by
eye. The prior is the same in every direction: all population variances are equal, and
the axes are the directions in which this draw happens to spread most, that is random
ones; another seed gives others. The sample variances lie between (1 - sqrt(D/N))^2 and
(1 + sqrt(D/N))^2 of the true one (Marchenko and Pastur, 1967), which the provenance
records beside the ones found. Use `pca` in W, or `sefa`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.checks import check_numbers
from mien.directions._assemble import plain_options
from mien.directions._components import components, principal_axes
from mien.directions.contract import Labelled
from mien.errors import BadInput
from mien.types import Directions, Latent

LABELS = False
SAMPLES = 1  # a latent, to name the space


@dataclass(frozen=True)
class Options:
    """Options of the published analysis."""

    samples: int = 10_000  # codes drawn from N(0, I)
    components: int = 5  # axes kept
    sphere: bool = True  # codes at length sqrt(D), as a PGGAN reads them
    seed: int = 0  # of the codes, and so of the axes

    def __post_init__(self) -> None:
        check_numbers(self, {"samples": 2})  # as a variance needs


DEFAULTS = Options()


def find(data: Labelled, options: Options = DEFAULTS) -> Directions:
    """The principal axes of codes drawn from N(0, I) in z; data only names the space.

    An amount of 1 moves by a length of 1; the notebook's range is -7 to 7. Raises
    BadInput for latents that are not in z.
    """
    if data.latent.space != "z":
        raise BadInput(
            f"samples of the prior live in z, these latents in {data.latent.space}; use pca"
        )
    codes = _codes(int(np.prod(data.latent.values.shape[1:])), options)
    latent = Latent(codes, data.latent.space, data.latent.model)
    axes, variances, mean = principal_axes(codes, options.components)
    edge = np.sqrt(codes.shape[1] / len(codes))
    provenance = {
        "method": "pca_prior",
        "options": plain_options(options),
        "note": "the prior is the same in every direction, so these axes are noise",
        "variances": [round(float(v), 6) for v in variances[: axes.shape[1]]],
        "variances_of_noise": [round(float(max(1 - edge, 0) ** 2), 6), round((1 + edge) ** 2, 6)],
    }
    return components(latent, axes, np.ones(axes.shape[1]), mean, provenance)


def _codes(size: int, options: Options) -> np.ndarray:
    """float32 [samples, size]."""
    codes = np.random.default_rng(options.seed).standard_normal((options.samples, size))
    if options.sphere:
        codes *= np.sqrt(size) / np.linalg.norm(codes, axis=1, keepdims=True)
    return codes.astype(np.float32)

"""GANSpace: the principal axes of sampled or given latents.

Haerkoenen et al., "GANSpace: Discovering Interpretable GAN Controls" (NeurIPS 2020),
section 2: in W the mapping network has shaped the distribution, so its principal axes
mean something; layers are chosen when editing. An amount of 1 is one standard
deviation, as there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.checks import check_numbers
from mien.directions._assemble import plain_options
from mien.directions._components import components, principal_axes
from mien.directions._rows import one_row
from mien.directions.contract import Labelled
from mien.types import Directions

LABELS = False
SAMPLES = 10_000  # latents drawn where none are given


@dataclass(frozen=True)
class Options:
    """Options of the principal component analysis."""

    components: int = 20  # axes kept, by falling variance

    def __post_init__(self) -> None:
        check_numbers(self)


DEFAULTS = Options()


def find(data: Labelled, options: Options = DEFAULTS) -> Directions:
    """The principal axes of data.latent; unit is the standard deviation, bias centres them.

    W+ latents whose rows are all alike, as sampled ones are, are analysed as w.
    Raises BadInput when the latents do not span so many axes.
    """
    single, rows = one_row(data)
    latent = single.latent
    axes, variances, mean = principal_axes(latent.flat, options.components)
    total = float(variances.sum())
    provenance = {
        "method": "pca",
        "options": plain_options(options),
        "variance": [round(float(v) / (total or 1.0), 6) for v in variances[: axes.shape[1]]],
    }
    unit = np.sqrt(variances[: axes.shape[1]])
    return rows.spread(components(latent, axes, unit, mean, provenance))

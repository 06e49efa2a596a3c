"""How well an embedding tells people apart: ROC AUC, true accepts at a false-accept rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.checks import check_shape


@dataclass(frozen=True)
class Separation:
    """Same-person against different-person cosines over all pairs of a labelled set."""

    same: float  # mean cosine of two photos of one person
    different: float  # mean cosine of photos of two people
    auc: float
    threshold: float  # the cosine that a share `far` of different-person pairs exceeds
    tar: float  # share of same-person pairs above the threshold
    far: float


def separation(embeddings: np.ndarray, people: np.ndarray, far: float = 1e-2) -> Separation:
    """Separation over all pairs of unit embeddings [N, D] with person numbers int [N].

    far: false-accept rate of the threshold, in (0, 1).
    """
    check_shape(people, (len(embeddings),), "people")
    cosines = embeddings @ embeddings.T
    upper = np.triu_indices(len(people), k=1)
    scores, same = cosines[upper], (people[:, None] == people[None, :])[upper]
    impostors = np.sort(scores[~same])
    threshold = float(np.quantile(impostors, 1 - far))
    genuine = scores[same]
    below = np.searchsorted(impostors, genuine, side="left")
    ties = np.searchsorted(impostors, genuine, side="right") - below
    return Separation(
        same=float(genuine.mean()),
        different=float(impostors.mean()),
        auc=float((below + ties / 2).mean() / len(impostors)),
        threshold=threshold,
        tar=float((genuine > threshold).mean()),
        far=far,
    )

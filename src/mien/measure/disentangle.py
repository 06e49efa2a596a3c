"""What a direction does and what it drags along: separability, rescoring, purity.

Shen et al., "InterFaceGAN: Interpreting the Disentangled Face Representation" (TPAMI
2020), section 4: how well the hyperplane separates held-out faces, and how a
recogniser's readings of all attributes change when faces move along a direction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.checks import check_shape
from mien.types import Attributes, Directions, Latent


@dataclass(frozen=True)
class Separability:
    """Shares of faces on their side of a hyperplane.

    accuracy: of all faces. balanced: mean of the shares of those that have and that lack
    the attribute; a constant answer scores 0.5, also for rare attributes. NaN
    where there are none.
    """

    faces: int
    accuracy: float
    balanced: float


def separability(
    directions: Directions, latent: Latent, attributes: Attributes
) -> dict[str, Separability]:
    """attribute -> how sign(w @ f + bias) separates faces with known labels.

    Directions that the attributes do not name are left out.
    """
    directions.check_latent(latent)
    found = {}
    for name in (n for n in directions.names if n in attributes.names):
        column, labels = directions.index(name), attributes.column(name)
        scores = latent.flat @ directions.vectors[:, column] + directions.bias[column]
        right = np.where(scores > 0, 1, -1) == labels
        known = right[labels != 0]
        sides = [right[labels == sign].mean() if (labels == sign).any() else np.nan
                 for sign in (1, -1)]  # fmt: skip
        accuracy = float(known.mean()) if len(known) else float("nan")
        found[name] = Separability(len(known), accuracy, float(np.mean(sides)))
    return found


def towards(read: np.ndarray) -> np.ndarray:
    """float64 [N] of 1 and -1: which way each face is moved, given a reading [N] in [0, 1].

    Every face goes to the other side of the attribute: a face that has it already
    could not show it more.
    """
    return np.where(np.asarray(read) > 0.5, -1.0, 1.0)


def change(before: np.ndarray, after: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """float64 [M]: mean change of readings [N, M], counted in the direction each face moved.

    1 at the attribute moved along means that every face changed sides for sure; elsewhere
    it is what came along, positive when it grows together with it.
    """
    check_shape(after, before.shape, "readings after the move")
    check_shape(signs, (len(before),), "signs")
    return np.asarray((signs[:, None] * (after.astype(np.float64) - before)).mean(axis=0))


def purity(row: np.ndarray, column: int) -> float:
    """Share in [0, 1] of a row's squared changes [M] that lies on `column`; 0 without change."""
    total = float(np.square(row).sum())
    return float(row[column]) ** 2 / total if total > 0 else 0.0


def merit(effect: float, pure: float) -> float:
    """Harmonic mean of effect (negative counts as 0) and purity: high only when both are."""
    effect = max(effect, 0.0)
    return 2 * effect * pure / (effect + pure) if effect + pure > 0 else 0.0

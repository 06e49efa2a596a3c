"""How well a recogniser reads attributes: accuracy, ROC AUC and calibration error."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from mien.types import Attributes


def calibration_error(probability: np.ndarray, truth: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error of probabilities [N] against truth [N] in {0, 1}.

    Guo et al., "On calibration of modern neural networks" (2017), equal-width bins.
    """
    place = np.minimum((probability * bins).astype(int), bins - 1)
    error = 0.0
    for number in range(bins):
        inside = place == number
        if inside.any():
            error += inside.mean() * abs(probability[inside].mean() - truth[inside].mean())
    return float(error)


def recognition_table(logits: np.ndarray, attributes: Attributes) -> dict[str, Any]:
    """Accuracy (threshold 0.5), AUC and calibration error, mean and for each attribute.

    logits: calibrated, [N, M]. Unknown labels take no part.
    """
    rows = {}
    for m, name in enumerate(attributes.names):
        known = attributes.table[:, m] != 0
        truth, score = attributes.table[known, m] > 0, logits[known, m].astype(np.float64)
        both = truth.any() and not truth.all()
        rows[name] = {
            "rate": round(float(truth.mean()), 4),
            "accuracy": round(float(((score > 0) == truth).mean()), 4),
            "auc": round(float(roc_auc_score(truth, score)), 4) if both else None,
            "ece": round(calibration_error(1 / (1 + np.exp(-score)), truth), 4),
        }
    mean = {
        key: round(float(np.mean([r[key] for r in rows.values() if r[key] is not None])), 4)
        for key in ("accuracy", "auc", "ece")
    }
    return {"faces": len(logits), "mean": mean, "attributes": rows}

"""What a translator does: attributes set, attributes kept, people kept, photos kept."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from mien.checks import check_shape
from mien.recognise.identity import embed, similarity


class Translates(Protocol):
    """What is asked of a translator."""

    def translate(self, faces: np.ndarray, labels: np.ndarray, part: int = 0) -> np.ndarray:
        """Faces [N, 3, S, S] with labels [N, c]."""
        ...


class Recognises(Protocol):
    """What is asked of a recogniser."""

    names: tuple[str, ...]

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """Faces [N, 3, S, S] -> [N, M] in [0, 1]."""
        ...


def translation_table(
    translator: Translates, recogniser: Recognises, faces: np.ndarray, labels: np.ndarray,
    targets: dict[str, np.ndarray], part: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """How translations of faces [N, 3, S, S] with labels [N, c] turn out, target by target.

    targets: labels [N, c] by the name they change; the names are the labels' in order, and
    the recogniser's too. For each: "success", the share of faces in which the recogniser sees
    what was asked of that name; "kept", the share of other names, those whose label the target
    leaves alone, of which it sees what it saw in the photo; "identity", the mean cosine of
    embeddings to the photo. "reconstruction": mean absolute change, in [0, 2], after each face
    is asked to be another and then itself again.
    """
    names = list(targets)
    check_shape(labels, (len(faces), len(names)), "labels")
    columns = [recogniser.names.index(name) for name in names]
    before = recogniser.probabilities(faces)[:, columns] > 0.5
    people = embed(faces)
    table, back = {}, []
    for i, (name, wanted) in enumerate(targets.items()):
        made = translator.translate(faces, wanted, part)
        seen = recogniser.probabilities(made)[:, columns] > 0.5
        alone = wanted == labels
        alone[:, i] = False
        table[name] = {
            "success": _rounded((seen[:, i] == (wanted[:, i] > 0.5)).mean()),
            "kept": None if (share := kept(before, seen, alone)) is None else _rounded(share),
            "identity": _rounded(similarity(people, embed(made)).mean()),
        }
        back.append(np.abs(translator.translate(made, labels, part) - faces).mean())
    return {"targets": table, "reconstruction": _rounded(np.mean(back))}


def kept(before: np.ndarray, after: np.ndarray, alone: np.ndarray) -> float | None:
    """Share of the names left `alone` of which the same is seen after as before, all bool [N, c].

    None where every name was asked for.
    """
    return float((after == before)[alone].mean()) if alone.any() else None


def _rounded(value: Any) -> float:
    return round(float(value), 4)

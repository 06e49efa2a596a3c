"""Labels of a translator: what a data set knows of its faces, and what may be asked for.

A label is 1 (present), 0 (absent) or 0.5 (unknown). StarGAN's joint vector
(Choi et al., CVPR 2018, section 3.2) is the labels of every data set side by
side, zeros for those of the others, and a one-hot mask that names the data set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from mien.errors import BadInput, UnknownName

UNKNOWN = 0.5
HAIR = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")  # a head has one of them
KINDS = ("binary", "classes")  # any of the names may be present, or exactly one


@dataclass(frozen=True)
class Part:
    """The labels of one data set: names in order, and how they relate."""

    names: tuple[str, ...]
    kind: str = "binary"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownName("kind of labels", self.kind, KINDS)
        if not self.names or len(set(self.names)) < len(self.names):
            raise BadInput(f"labels {', '.join(self.names) or '(none)'}: give each name once")

    def loss(
        self, logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Of a classifier's logits [N, c] against labels [N, c]; unknown ones take no part.

        binary: cross-entropy summed over names, times weights [c] if given, a face.
        classes: softmax cross-entropy, averaged over the faces whose class is known.
        """
        logits = logits.float()
        if self.kind == "binary":
            known = (labels != UNKNOWN).float()
            terms = F.binary_cross_entropy_with_logits(
                logits, labels, weight=weights, reduction="none"
            )
            return (terms * known).sum() / len(labels)
        known = labels.amax(1) == 1
        terms = F.cross_entropy(logits, labels.argmax(1), reduction="none")
        return (terms * known).sum() / known.sum().clamp(min=1)

    def targets(self, labels: torch.Tensor) -> list[torch.Tensor]:
        """What to ask for of faces with labels [N, c]: one target [N, c] a name.

        That class; the hair colour in the place of the others; any other name reversed.
        """
        return [self.changed(labels, torch.full((len(labels),), i)) for i in range(len(self.names))]

    def changed(self, labels: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        """Labels [N, c] with name number which[n] changed as `targets` changes it."""
        chosen = F.one_hot(which, len(self.names)).to(labels)
        if self.kind == "classes":
            return chosen
        hair = torch.tensor([float(name in HAIR) for name in self.names]).to(labels)
        coloured = (chosen * hair).sum(1, keepdim=True)  # 1 where a hair colour is asked for
        reversed_ = torch.where(labels > UNKNOWN, 0.0, 1.0)
        flipped = torch.where(chosen > 0, reversed_, labels)
        return torch.where((coloured * hair) > 0, chosen, flipped)

    def asked(self, labels: torch.Tensor, wanted: Mapping[str, float]) -> torch.Tensor:
        """Labels [N, c] with the wanted presences (0 or 1) by name.

        A hair colour, or a class, that is wanted takes the place of the others. Raises
        UnknownName for other names and BadInput where two that exclude each other are wanted.
        """
        for name in wanted:
            if name not in self.names:
                raise UnknownName("attribute", name, self.names)
        rivals = self.names if self.kind == "classes" else HAIR
        present = [name for name in self.names if name in rivals and wanted.get(name, 0) > UNKNOWN]
        if len(present) > 1:
            raise BadInput(f"{' and '.join(present)} exclude each other; ask for one of them")
        found = labels.clone()
        for i, name in enumerate(self.names):
            if name in wanted:
                found[:, i] = wanted[name]
            elif present and name in rivals:
                found[:, i] = 0.0
        return found


@dataclass(frozen=True)
class Vocabulary:
    """The labels of all data sets that one translator learned from."""

    parts: tuple[Part, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of all parts, in the order of the classifier's logits."""
        return tuple(name for part in self.parts for name in part.names)

    @property
    def width(self) -> int:
        """Length of the vector that a generator is given."""
        return len(self.names) + (len(self.parts) if len(self.parts) > 1 else 0)

    def place(self, part: int) -> slice:
        """Where a part's labels lie in the vector and its logits among all."""
        first = sum(len(earlier.names) for earlier in self.parts[:part])
        return slice(first, first + len(self.parts[part].names))

    def vector(self, labels: torch.Tensor, part: int = 0) -> torch.Tensor:
        """Labels [N, c] of one part -> [N, width]: zeros for the others, then the mask."""
        if len(self.parts) == 1:
            return labels
        whole = labels.new_zeros(len(labels), self.width)
        whole[:, self.place(part)] = labels
        whole[:, len(self.names) + part] = 1
        return whole


def as_labels(table: torch.Tensor) -> torch.Tensor:
    """Attributes 1, -1, 0 (unknown) -> labels 1, 0, 0.5, float32."""
    return (table.float() + 1) / 2


def parts_of(stored: Sequence[Mapping[str, object]]) -> Vocabulary:
    """The vocabulary that a card's "parts" describe."""
    return Vocabulary(tuple(Part(tuple(p["names"]), str(p["kind"])) for p in stored))  # type: ignore[arg-type]

"""What is to be added to a photo, by examples: a StarGAN's first lesson.

Viazovetskyi et al., "StyleGAN2 Distillation for Feed-forward Image Manipulation" (ECCV
2020): a generator's edits are examples for a network that needs no latent. They
are smooth; what is finer, and real, is left to the discriminator. Hair may be recoloured in
the photo itself instead, which is as sharp as the photo. A trained translator's pictures are
examples, too, for one of other sizes or another condition (Hinton et al., "Distilling the
Knowledge in a Neural Network", 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch

from mien.directions import edit, open_directions
from mien.errors import BadInput, UnknownName
from mien.generators import open_space
from mien.generators._labels import Vocabulary
from mien.generators.stargan import StarGAN
from mien.runtime.precision import quickest
from mien.train._stargan_hair import Palette, Shade, recoloured
from mien.train.prototypes import FLOOR, Prototypes

LIGHT = (0.299, 0.587, 0.114)  # of red, green and blue
BRIGHTER, DARKER = 1.5, 4.0  # times by which a ratio may brighten or darken: eyes glow soon
Autocast = Callable[[str], torch.autocast]  # of a device's type
AGE, GREY = "Young", "Gray_Hair"  # who is no longer young greys


@dataclass(frozen=True)
class Transfer:
    """How edits of a space are carried over to photos.

    hues: share of their colours that is, their light being carried over whole.
    ratio: 0, what they add is added to the photo; else the photo, in [0, 1], is multiplied by
    (after + ratio) / (before + ratio), so that what is dark in it stays dark (Liu, Shan and
    Zhang, "Expressive Expression Mapping with Ratio Images", SIGGRAPH 2001).
    """

    hues: float = 1.0
    ratio: float = 0.0


@dataclass(frozen=True)
class Paints:
    """What is painted in photos themselves, where masks of persons and their hair are given.

    palette: colours of hair, which the space then does not draw; their amounts count from the
    usual colour. prototypes: how names change faces, `strengths` times each, beside what the
    space draws. grey: share of the hair that greys with age.
    """

    palette: Palette | None = None
    prototypes: tuple[Prototypes, ...] = ()
    strengths: Mapping[str, float] = field(default_factory=dict)
    grey: float = 0.0


PLAIN = Paints()


class Guide(Protocol):
    """Who shows what is to be added to photos."""

    def added(
        self, faces: torch.Tensor, labels: torch.Tensor, targets: torch.Tensor,
        names: tuple[str, ...], masks: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """[N, 3, S, S]: to faces in [-1, 1] with labels [N, c] of names, to have targets [N, c].

        masks: [N, 2, S, S] in [0, 1], the person, outside of whom nothing is added, and the
        hair. Raises BadInput for faces of a size that it does not draw.
        """


class Edits:
    """Edits of an embedded space along its own directions, and colours of hair."""

    def __init__(
        self, space: str, names: tuple[str, ...], amounts: tuple[float, ...] = (),
        paints: Paints = PLAIN, transfer: Transfer = Transfer(), autocast: Autocast = quickest,
    ) -> None:  # fmt: skip
        """names: of all labels; amounts: of their edits, in calibrated units, 1 where not given.

        autocast: the precision of the space's networks.

        Raises UnknownName for a name without a direction, BadInput for other than one amount
        each.
        """
        if amounts and len(amounts) != len(names):
            raise BadInput(
                f"amounts has {len(amounts)} numbers for {len(names)} names; give each one"
            )
        self.space, self.paints, self.transfer = open_space(space), paints, transfer
        self.autocast = autocast
        self.amounts = dict(zip(names, amounts or (1.0,) * len(names), strict=True))
        self.directions = open_directions(f"{space}-directions")
        palette = paints.palette
        self.shades = palette.beyond(self.amounts) if palette else {}
        grey = palette.shades.get(GREY) if palette and paints.grey else None
        self.grey = grey and replace(grey, share=paints.grey)
        for name in names:
            if name not in self.directions.names:
                raise UnknownName("attribute of the guide", name, self.directions.names)

    def added(
        self, faces: torch.Tensor, labels: torch.Tensor, targets: torch.Tensor,
        names: tuple[str, ...], masks: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """What edits from labels to targets add. Computed on the CPU, wherever the faces are."""
        if faces.shape[2] != self.space.size:
            raise BadInput(f"the guide draws faces of {self.space.size} px; set size to it")
        wish = (targets - labels).round().cpu().numpy()  # 0 where either is unknown
        before = faces.cpu()
        added = self._drawn(before, wish, names, () if masks is None else self.shades)
        if masks is None:
            return added.to(faces.device)
        body, hair = masks.cpu().unbind(1)
        after = (before + added * body[:, None]).clamp(-1, 1)
        for known in self.paints.prototypes:
            if known.names == names:
                far = torch.tensor([self.paints.strengths[name] for name in names])
                factor = known.factors(before, labels.cpu(), far * torch.from_numpy(wish))
                after = ((after + 1 + 2 * FLOOR) * factor - 1 - 2 * FLOOR).clamp(-1, 1)
        after = recoloured(after, hair, [self._shade(row, names) for row in wish])
        return (after - before).to(faces.device)

    def _drawn(
        self, faces: torch.Tensor, wish: np.ndarray, names: tuple[str, ...], but: Collection[str]
    ) -> torch.Tensor:
        """What the space's edits add; those of the names `but` are left out."""
        amounts = {
            name: self.amounts[name] * wish[:, i] for i, name in enumerate(names) if name not in but
        }
        with self.autocast("cpu"):
            latent = self.space.encode(faces.numpy())
            moved = edit(latent, self.directions, amounts)
            both = latent.with_values(np.concatenate([latent.values, moved.values]))
            before, after = torch.from_numpy(self.space.decode(both)).chunk(2)
        return _carried(before, after, faces, self.transfer)

    def _shade(self, wish: np.ndarray, names: tuple[str, ...]) -> Shade | None:
        """The colour that hair takes; none where it leaves one for no other and does not grey."""
        wanted = [self.shades.get(names[i]) for i in np.flatnonzero(wish > 0)]
        aged = AGE in names and wish[names.index(AGE)] < 0
        return next((shade for shade in wanted if shade is not None), self.grey if aged else None)


class Translations:
    """What a trained StarGAN adds, whatever the photos' own labels are."""

    def __init__(
        self, model: StarGAN, vocabulary: Vocabulary, autocast: Autocast = quickest
    ) -> None:
        """Raises BadInput for a model that translates other names."""
        if model.vocabulary != vocabulary:
            raise BadInput(
                f"guided_by={model.card['name']} translates {', '.join(model.names)}; "
                "give attributes that are its own"
            )
        self.model, self.autocast = model, autocast

    @torch.no_grad()
    def added(
        self, faces: torch.Tensor, labels: torch.Tensor, targets: torch.Tensor,
        names: tuple[str, ...], masks: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """The difference that its translations make. Computed where the faces are."""
        if faces.shape[2] != self.model.size:
            raise BadInput(f"the guide draws faces of {self.model.size} px; set size to it")
        parts = self.model.vocabulary
        part = [one.names for one in parts.parts].index(names)
        with self.autocast(faces.device.type):
            made = self.model.network.to(faces.device)(faces, parts.vector(targets, part))
        added: torch.Tensor = made - faces
        return added


def _carried(
    before: torch.Tensor, after: torch.Tensor, faces: torch.Tensor, transfer: Transfer
) -> torch.Tensor:
    """What the edit from before to after adds to faces, all [N, 3, S, S] in [-1, 1]."""
    if not transfer.ratio:
        added = after - before
        return torch.lerp(_light(added), added, transfer.hues)
    factor = ((after + 1) / 2 + transfer.ratio) / ((before + 1) / 2 + transfer.ratio)
    factor = torch.lerp(_light(factor), factor, transfer.hues).clamp(1 / DARKER, BRIGHTER)
    return (faces + 1) * (factor - 1)


def distance(found: torch.Tensor, wanted: torch.Tensor, tint: float = 0.0) -> torch.Tensor:
    """Mean squared difference of additions [N, 3, S, S], differences of hue 1 + tint times.

    At full size: compared more coarsely, a chequered pattern goes unseen and grows.
    """
    away = found - wanted
    return away.square().mean() + tint * (away - _light(away)).square().mean()


def _light(pictures: torch.Tensor) -> torch.Tensor:
    """[N, 3, S, S] -> the same without colour."""
    light = (pictures * pictures.new_tensor(LIGHT).view(3, 1, 1)).sum(1, keepdim=True)
    return light.expand_as(pictures)

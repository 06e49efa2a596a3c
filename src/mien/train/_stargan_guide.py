"""What an embedded space's calibrated edits would add to a photo: a StarGAN's first lesson.

Viazovetskyi et al., "StyleGAN2 Distillation for Feed-forward Image Manipulation" (ECCV
2020): a generator's edits are examples for a network that needs no latent. The examples
are smooth; what is finer, and real, is left to the discriminator.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from mien.directions import edit, open_directions
from mien.errors import BadInput, UnknownName
from mien.generators import open_space
from mien.runtime.precision import quickest


class Guide:
    """Edits of an embedded space along its own directions."""

    def __init__(self, space: str, names: tuple[str, ...], amounts: tuple[float, ...] = ()) -> None:
        """names: of all labels; amounts: of their edits, in calibrated units, 1 where not given.

        Raises UnknownName for a name without a direction, BadInput for other than one amount each.
        """
        if amounts and len(amounts) != len(names):
            raise BadInput(
                f"amounts has {len(amounts)} numbers for {len(names)} names; give each one"
            )
        self.space = open_space(space)
        self.amounts = dict(zip(names, amounts or (1.0,) * len(names), strict=True))
        self.directions = open_directions(f"{space}-directions")
        for name in names:
            if name not in self.directions.names:
                raise UnknownName("attribute of the guide", name, self.directions.names)

    def added(
        self, faces: torch.Tensor, labels: torch.Tensor, targets: torch.Tensor,
        names: tuple[str, ...],
    ) -> torch.Tensor:  # fmt: skip
        """[N, 3, S, S]: what edits from labels to targets [N, c] of names add to faces in [-1, 1].

        Computed on the CPU, wherever the faces are.
        Raises BadInput for faces of another size than the space's.
        """
        if faces.shape[2] != self.space.size:
            raise BadInput(f"the guide draws faces of {self.space.size} px; set size to it")
        wish = (targets - labels).round().cpu().numpy()  # 0 where either is unknown
        amounts = {name: self.amounts[name] * wish[:, i] for i, name in enumerate(names)}
        with quickest():
            latent = self.space.encode(faces.cpu().numpy())
            moved = edit(latent, self.directions, amounts)
            both = latent.with_values(np.concatenate([latent.values, moved.values]))
            before, after = torch.from_numpy(self.space.decode(both)).chunk(2)
        return (after - before).to(faces.device)

    @staticmethod
    def distance(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Mean squared difference of additions [N, 3, S, S].

        At full size: compared more coarsely, a chequered pattern goes unseen and grows.
        """
        return F.mse_loss(found, wanted)

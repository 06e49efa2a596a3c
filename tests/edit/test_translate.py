"""A translated face goes back into its photo with the photo's own detail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mien.edit.translate import Wish, translate_portrait
from mien.faces.portrait import Portrait
from mien.generators.stargan import Architecture, Generator, StarGAN
from mien.types import Face

SIZE, TIMES = 16, 8  # the photo shows the face this many times larger
PARTS = [{"names": ["Male"], "kind": "binary"}]


class Recogniser:
    """Sees nobody as anything."""

    names, size = ("Male",), SIZE

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        return np.zeros((len(faces), 1), np.float32)


def translated(weight: float, **soft: float) -> tuple[np.ndarray, np.ndarray]:
    """A photo of fine noise, and the same with the face in it brightened."""
    torch.manual_seed(0)
    shape = Architecture(SIZE, 4, 1, 1, residual=True, **soft)
    network = Generator(shape)
    torch.nn.init.constant_(network.main[-1].weight, weight)
    card = {
        "name": "toy", "parts": PARTS, "sha256": "0" * 64,
        "input": {"size": SIZE, "frame": "celeba", "range": [-1, 1]},
    }  # fmt: skip
    side = SIZE * TIMES
    photo = np.random.default_rng(0).integers(60, 190, (side, side, 3), dtype=np.uint8)
    small = photo.reshape(SIZE, TIMES, SIZE, TIMES, 3).mean((1, 3)).transpose(2, 0, 1)
    face = Face(np.float32(small / 127.5 - 1), np.eye(2, 3) / TIMES, "celeba")
    portrait = Portrait(Path("a.png"), photo, face, 1)
    made = translate_portrait(portrait, StarGAN(network, card), Recogniser(), Wish({"Male": 1}))
    assert np.abs(made.face - face.pixels).mean() > 0.5
    return photo, made.photo


@pytest.mark.parametrize(
    ("soft", "weight", "kept"),
    [({"blur": 1.2}, 0.009, True), ({"coarse": 2}, 0.011, True), ({}, 0.009, False)],
)
def test_what_is_added_softly_leaves_the_photos_detail(
    soft: dict[str, float], weight: float, kept: bool
) -> None:
    photo, made = translated(weight, **soft)
    inner = slice(3 * SIZE, 5 * SIZE)
    before, after = (picture[inner, inner].astype(float) for picture in (photo, made))
    unclipped = (after > 0) & (after < 255)
    fine = np.corrcoef(before[unclipped], after[unclipped])[0, 1]
    assert unclipped.mean() > 0.3
    assert (fine > 0.9) == kept

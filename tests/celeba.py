"""A CelebA folder of noise, in the official layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def noise(root: Path, names: Sequence[str], train: int, test: int) -> Path:
    """`train` and `test` photos; name k is that of every (k + 2)-th photo."""
    (root / "img_align_celeba").mkdir(parents=True)
    random = np.random.default_rng(0)
    rows, partition, people = [], [], []
    for number in range(train + test):
        name = f"{number + 1:06d}.jpg"
        pixels = random.integers(0, 256, (218, 178, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(root / "img_align_celeba" / name)
        labels = [number % (k + 2) == 0 for k in range(len(names))]
        rows.append(f"{name} " + " ".join("1" if label else "-1" for label in labels))
        partition.append(f"{name} {0 if number < train else 2}")
        people.append(f"{name} {number}")
    lists = {
        "list_attr_celeba.txt": [str(train + test), " ".join(names), *rows],
        "list_eval_partition.txt": partition,
        "identity_CelebA.txt": people,
    }
    for file, lines in lists.items():
        (root / file).write_text("\n".join(lines))
    return root

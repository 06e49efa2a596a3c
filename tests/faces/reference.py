"""Measure where dlib's five landmarks lie in CelebA's crop: the constant align.REFERENCE.

python -m tests.faces.reference CELEBA_FOLDER [COUNT]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from mien.faces.celeba import CROP, read_celeba
from mien.faces.detect import detect
from mien.faces.read import read_photo


def measured(root: Path, count: int = 600) -> np.ndarray:
    """float64 [5, 2]: median landmarks of `count` train photos in units of the crop's side."""
    found = [detect(read_photo(path)) for path in read_celeba(root, "train").paths[:count]]
    points = np.stack([faces[0].landmarks for faces in found if faces])
    return (np.median(points, axis=0) + 0.5 - CROP[:2]) / (CROP[2] - CROP[0])


if __name__ == "__main__":
    print(measured(Path(sys.argv[1]), *map(int, sys.argv[2:])).round(5).tolist())

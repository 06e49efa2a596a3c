"""What names look like on any face: means of photos in one shape, and how these differ.

Rowland and Perrett, "Manipulating Facial Appearance through Shape and Color" (IEEE CG&A 1995):
photos are warped to one shape and averaged, and what two groups' means differ by is carried
over to a photo. Here logarithms are averaged, so that a photo is multiplied and keeps its own
light (Liu, Shan and Zhang, "Expressive Expression Mapping with Ratio Images", SIGGRAPH 2001), and
all groups come from one regression, so that beards of old men do not count as age. The shape is
that of MediaPipe's mesh, see `hair`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import Delaunay, cKDTree

from mien.errors import BadInput
from mien.faces.cache import to_bytes
from mien.train.hair import SIZE, mesh

FEWEST = 40  # photos from in front, of which means are made
CHUNK = 64  # photos at once
FLOOR = 0.06  # of [0, 1], added before logarithms: what is black has no colour
FRONTAL, ASIDE = 0.18, 0.4  # nose from the middle, in widths of the face: means; no change at all
FADE = 10  # px of the mean shape, over which changes fall to nothing at its border
LIFT = 0.35  # of a logarithm, by which a change brightens at most
NOSE, SIDES, INNER_LIPS, MOUTH = 1, (234, 454), (13, 14), (61, 291)  # points of the mesh


@dataclass(frozen=True)
class Frame:
    """The mean shape, that of a face from in front and the same on both sides.

    points: [468, 2], x and y in px of a picture of 128 px that it fills.
    """

    points: np.ndarray

    @staticmethod
    def of(shapes: np.ndarray) -> Frame:
        """The mean of shapes [N, 468, 2], of which as many look left as right."""
        mean = shapes.mean(0)
        middle = mean[:, 0].mean()
        mirrored = np.c_[2 * middle - mean[:, 0], mean[:, 1]]
        twin = cKDTree(mean).query(mirrored)[1]
        even = (mean + np.c_[2 * middle - mean[twin, 0], mean[twin, 1]]) / 2
        low, high = even.min(0), even.max(0)
        scale = (SIZE - 16) / (high - low).max()
        return Frame((even - (low + high) / 2) * scale + (SIZE - 1) / 2)

    @cached_property
    def _corners(self) -> tuple[np.ndarray, np.ndarray]:
        """Of every pixel the triangle's points [S * S, 3] and their shares, none outside."""
        triangles = Delaunay(self.points)
        places = _pixels().reshape(-1, 2)
        found = triangles.find_simplex(places)
        affine = triangles.transform[found]
        two = np.einsum("nij,nj->ni", affine[:, :2], places - affine[:, 2])
        shares = np.c_[two, 1 - two.sum(1)] * (found >= 0)[:, None]
        return triangles.simplices[found], shares

    @cached_property
    def fade(self) -> np.ndarray:
        """[S, S] in [0, 1]: 1 inside of the face, 0 at its border and outside."""
        inside = (self._corners[1].sum(1) > 0.5).reshape(SIZE, SIZE)
        found: np.ndarray = np.clip((ndimage.distance_transform_edt(inside) - 2) / FADE, 0, 1)
        return found

    def straightened(self, picture: torch.Tensor, shape: np.ndarray) -> np.ndarray:
        """A picture [C, S, S] whose face has this shape [468, 2], in the mean shape."""
        corners, shares = self._corners
        places = (shape[corners] * shares[..., None]).sum(1).reshape(SIZE, SIZE, 2)
        return _sampled(picture, places, "border").numpy()

    def bent(self, maps: torch.Tensor, shape: np.ndarray) -> torch.Tensor:
        """Maps [C, S, S] in the mean shape as they lie on a face of this shape; 0 around it."""
        places = LinearNDInterpolator(shape, self.points, fill_value=-SIZE)(_pixels())
        return _sampled(maps, places, "zeros")


@dataclass(frozen=True)
class Prototypes:
    """What each name changes in the logarithm of a face.

    effects: float32 [c, 1 + c, 3, S, S] in the mean shape: a name's change in a face without
    the others, and what each of the others adds to it.
    """

    names: tuple[str, ...]
    frame: Frame
    effects: torch.Tensor

    @staticmethod
    def of(
        faces: np.ndarray, labels: np.ndarray, names: tuple[str, ...], pairs: Sequence[str],
        progress: Callable[[int, int], None],
    ) -> Prototypes:  # fmt: skip
        """Of faces uint8 [N, 128, 128, 3] that nothing hides, with labels [N, c] of names.

        pairs: the names whose change may depend on each other. progress(photos, of) is called on
        the way, for their shapes and then for those from in front. Raises BadInput where these are
        too few.
        """
        shapes = _shapes(faces, progress)
        front = np.abs(aside(shapes)) < FRONTAL
        if front.sum() < FEWEST:
            raise BadInput(
                f"{front.sum()} photos show a face from in front, {FEWEST} are needed for "
                "prototypes; set prototypes= to nothing"
            )
        shapes, frame, count = shapes[front], Frame.of(shapes), len(names)
        both = [(names.index(a), names.index(b)) for a in pairs for b in pairs if a < b]
        logs = (_log(frame, face, shape) for face, shape in zip(faces[front], shapes, strict=True))
        values = _regressed(logs, _terms(labels[front], both, shapes), progress)
        effects = np.zeros((count, 1 + count, 3, SIZE, SIZE), np.float32)
        effects[:, 0] = values[1 : 1 + count]
        for value, (a, b) in zip(values[1 + count :], both, strict=False):
            effects[a, 1 + b] = effects[b, 1 + a] = value
        even = (effects + effects[..., ::-1]) / 2
        return Prototypes(names, frame, torch.from_numpy(even))

    def factors(
        self, faces: torch.Tensor, labels: torch.Tensor, wish: torch.Tensor
    ) -> torch.Tensor:
        """[N, 3, 128, 128], what faces in [-1, 1] with labels [N, c] are multiplied by.

        That is, faces in [0, 1] with FLOOR added. wish: [N, c], how far each name changes, 1 for
        photos with it in place of photos without it.
        """
        factors = torch.ones_like(faces)
        for row, wanted in enumerate(wish):
            if wanted.any():
                factors[row] = self._one(faces[row], labels[row], wanted)
        return factors

    def _one(self, face: torch.Tensor, labels: torch.Tensor, wish: torch.Tensor) -> torch.Tensor:
        shape = mesh(to_bytes(face[None].numpy())[0])
        seen = np.clip((ASIDE - np.abs(aside(shape[None])[0])) / (ASIDE - FRONTAL), 0, 1)
        given = torch.cat([torch.ones(1), labels])
        maps = torch.einsum("c,k,ckdhw->dhw", wish, given, self.effects)
        fade = torch.from_numpy(self.frame.fade[None]).float()
        bent = self.frame.bent(torch.cat([maps, fade]), shape)
        change, inside = bent[:3], bent[3:]
        change = torch.where(change > 0, LIFT * torch.tanh(change / LIFT), change)
        return (change * inside * float(seen)).exp()


def aside(shapes: np.ndarray) -> np.ndarray:
    """[N]: by how much of the face's width the nose is off the middle, of shapes [N, 468, 2]."""
    left, right = (shapes[:, point, 0] for point in SIDES)
    found: np.ndarray = (shapes[:, NOSE, 0] - (left + right) / 2) / np.maximum(right - left, 1)
    return found


def _shapes(faces: np.ndarray, progress: Callable[[int, int], None]) -> np.ndarray:
    """[N, 468, 2]: the mesh's points in faces uint8 [N, 128, 128, 3]."""
    found = []
    for start in range(0, len(faces), CHUNK):
        found += [mesh(face) for face in faces[start : start + CHUNK]]
        progress(len(found), len(faces))
    return np.stack(found)


def _terms(labels: np.ndarray, both: Sequence[tuple[int, int]], shapes: np.ndarray) -> np.ndarray:
    """[N, 3 + c + pairs]: 1, labels, their products, and how wide and open mouths are."""
    pairs = [labels[:, a] * labels[:, b] for a, b in both]
    face = shapes[:, SIDES[1], 0] - shapes[:, SIDES[0], 0]
    mouth = [
        np.linalg.norm(shapes[:, a] - shapes[:, b], axis=1) / face for a, b in (INNER_LIPS, MOUTH)
    ]
    return np.stack([np.ones(len(labels)), *labels.T, *pairs, *mouth], 1)


def _regressed(
    logs: Iterator[np.ndarray], terms: np.ndarray, progress: Callable[[int, int], None]
) -> np.ndarray:
    """[T, 3, S, S]: least squares of pictures [3, S, S], one a row of terms [N, T]."""
    product = np.zeros((terms.shape[1], 3 * SIZE * SIZE))
    for start in range(0, len(terms), CHUNK):
        rows = terms[start : start + CHUNK]
        product += rows.T @ np.stack(list(islice(logs, len(rows)))).reshape(len(rows), -1)
        progress(start + len(rows), len(terms))
    square = terms.T @ terms + 1e-3 * np.eye(terms.shape[1])  # names that no photo has
    return np.linalg.solve(square, product).reshape(-1, 3, SIZE, SIZE)


def _log(frame: Frame, face: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """[3, S, S]: logarithm of the straightened face, without the light that it stands in."""
    picture = torch.tensor(face).permute(2, 0, 1).float() / 255
    log = np.log(frame.straightened(picture, shape).clip(0) + FLOOR)
    relative: np.ndarray = log - log[:, frame.fade > 0].mean(1)[:, None, None]
    return relative


def _sampled(picture: torch.Tensor, places: np.ndarray, around: str) -> torch.Tensor:
    """The picture [C, S, S] at places [S, S, 2], x and y in px."""
    grid = torch.from_numpy((places + 0.5) * 2 / SIZE - 1).to(picture.dtype)
    return F.grid_sample(picture[None], grid[None], padding_mode=around, align_corners=False)[0]


def _pixels() -> np.ndarray:
    """[S, S, 2], x and y of every pixel."""
    return np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), -1).astype(float)

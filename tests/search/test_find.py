"""Finding over a toy space whose latent is the face's mean colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.search.find import Wish, find_faces, open_gallery, wished_face
from mien.search.gallery import Entries, Gallery
from mien.search.thumbnail import to_thumbnail
from mien.types import Attributes, Directions, Face, Latent


class Space:
    card: dict[str, object] = {}  # noqa: RUF012
    mark, space, size, frame = "toy@1", "z", 4, "celeba"

    def encode(self, faces: np.ndarray) -> Latent:
        return Latent(faces.mean(axis=(2, 3)), self.space, self.mark)

    def decode(self, latent: Latent) -> np.ndarray:
        return np.repeat(latent.values, 16, axis=1).reshape(-1, 3, 4, 4)

    def sample(self, count: int, seed: int = 0) -> Latent:
        raise AssertionError("a search draws nothing")


BASIS = Directions(
    names=("Red", "Green"), vectors=np.eye(3, 2, dtype=np.float32),
    bias=np.zeros(2, np.float32), low=np.array([-1, -0.5], np.float32),
    high=np.array([1, 0.5], np.float32), unit=np.ones(2, np.float32), space="z",
    model="toy@1", orthonormal=True,
)  # fmt: skip


def _face(*colour: float) -> Face:
    pixels = np.repeat(np.float32(colour), 16).reshape(3, 4, 4)
    return Face(pixels, np.eye(2, 3), "celeba")


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    """27 colours: every combination of -1/2, 0 and 1/2."""
    grid = np.stack(np.meshgrid(*[[-0.5, 0, 0.5]] * 3), axis=-1).reshape(-1, 3)
    latent = Latent(grid.astype(np.float32), "z", "toy@1")
    pictures = tuple(to_thumbnail(face) for face in Space().decode(latent))
    ids = tuple(" ".join(f"{value:g}" for value in row) for row in grid)
    known = Attributes((), np.zeros((27, 0), np.int8))
    made = Gallery.create(tmp_path / "gallery", "toy@1", "z", (3,))
    made.add(Entries(ids, ("",) * 27, latent, known, pictures))
    return made


def test_wishes_move_the_face_along_the_basis(gallery: Gallery) -> None:
    # Red at presence 3/4 is -1 + 3/4 * 2 = 1/2; Green at 0 is -1/2; blue stays
    wish = Wish(adjust={"Red": 0.75, "Green": 0.0}, k=1)
    face = _face(-0.5, 0.5, 0.5)
    [hit] = find_faces(face, gallery, Space(), BASIS, wish)
    assert hit.id == "0.5 -0.5 0.5"
    assert hit.distance == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(wished_face(face, Space(), BASIS, wish)[:, 0, 0], [0.5, -0.5, 0.5])


def test_preferences_decide_between_equally_far_faces(gallery: Gallery) -> None:
    face = _face(0.3, 0.3, 0.0)  # nearest is 0.5 0.5 0
    hits = find_faces(face, gallery, Space(), BASIS, Wish(prefer={"Red": 10}, k=2))
    assert [hit.id for hit in hits] == ["0.5 0.5 0", "0.5 0 0"]
    assert hits[0].attributes == {"Red": pytest.approx(0.4), "Green": pytest.approx(0.04)}
    hits = find_faces(face, gallery, Space(), BASIS, Wish(prefer={"Green": 10}, k=2))
    assert [hit.id for hit in hits] == ["0.5 0.5 0", "0 0.5 0"]


def test_without_wishes_the_face_is_its_reconstruction() -> None:
    face = _face(0.1, 0.2, 0.3)
    np.testing.assert_allclose(wished_face(face, Space(), BASIS, Wish()), face.pixels, atol=1e-6)


def test_a_folder_opens_as_the_gallery_it_is(gallery: Gallery) -> None:
    assert open_gallery(gallery.folder).ids == gallery.ids

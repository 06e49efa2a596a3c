import numpy as np
from PIL import Image

from mien.recognise.any_size import AnySize, resized


class Mean:
    names, size = ("A",), 8

    def probabilities(self, faces):
        assert faces.shape[1:] == (3, 8, 8)
        return faces.mean(axis=(1, 2, 3))[:, None]


def some(size):
    return np.random.default_rng(0).uniform(-1, 1, (2, 3, size, size)).astype(np.float32)


def test_equals_pillow_both_ways():
    for size in (4, 20):
        faces = some(size)
        for face, small in zip(faces, resized(faces, 8), strict=True):
            for plane, got in zip(face, small, strict=True):
                want = Image.fromarray(plane).resize((8, 8), Image.Resampling.BILINEAR)
                np.testing.assert_allclose(got, np.asarray(want), atol=2e-3)


def test_the_right_size_is_left_alone_and_nothing_stays_nothing():
    faces = some(8)
    assert resized(faces, 8) is faces
    assert resized(some(4)[:0], 8).shape == (0, 3, 8, 8)
    reader = AnySize(Mean())
    np.testing.assert_array_equal(reader.probabilities(faces), Mean().probabilities(faces))
    assert reader.probabilities(some(4)).shape == (2, 1)
    assert reader.names == ("A",)

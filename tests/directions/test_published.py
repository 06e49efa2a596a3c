"""Published directions move a model's latents as their publishers' code moves them."""

import hashlib

import numpy as np
import pytest
import torch

from mien.directions import (
    ImportOptions,
    edit,
    import_directions,
    open_directions,
    save_directions,
)
from mien.errors import BadInput, BadModel, SpaceMismatch
from mien.types import Latent

ROWS, WIDTH = 4, 6
RANDOM = np.random.default_rng(0)


class Toy:
    """A space whose samples are normal around a mean; w+ repeats one w in every row."""

    def __init__(self, space):
        self.space = space
        self.mean = np.linspace(-2, 2, WIDTH, dtype=np.float32)

    def sample(self, count, seed=0, truncation=1.0):
        drawn = np.random.default_rng(seed).standard_normal((count, WIDTH)).astype(np.float32)
        w = self.mean + truncation * drawn
        values = np.repeat(w[:, None], ROWS, axis=1) if self.space == "w+" else w
        return Latent(values, self.space, "toy@00000000")


def unit(*shape):
    vector = RANDOM.standard_normal(shape).astype(np.float32)
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def check_moves(space, directions, amounts, wanted):
    """Every row of three latents moves by `wanted`."""
    latent = space.sample(3, seed=9)
    movement = edit(latent, directions, amounts).values - latent.values
    np.testing.assert_allclose(movement, np.broadcast_to(wanted, latent.values.shape), atol=1e-5)


def test_a_boundary_moves_z_by_its_normal(tmp_path):
    normal = unit(1, WIDTH)
    np.save(tmp_path / "smile_boundary.npy", normal.astype(np.float64))
    space = Toy("z")
    found = import_directions(tmp_path / "smile_boundary.npy", space, ImportOptions("z", "smile"))
    assert found.names == ("smile",)
    check_moves(space, found, {"smile": 2.5}, 2.5 * normal)
    assert found.provenance["format"] == "boundary"
    digest = hashlib.sha256((tmp_path / "smile_boundary.npy").read_bytes()).hexdigest()
    assert found.provenance["sha256"] == digest


@pytest.mark.parametrize("suffix", [".npy", ".pt"])
def test_a_direction_of_w_moves_every_row(tmp_path, suffix):
    normal, space = unit(1, WIDTH), Toy("w+")
    path = tmp_path / f"age{suffix}"
    if suffix == ".npy":
        np.save(path, normal)
    else:
        torch.save(torch.from_numpy(normal), path)
    found = import_directions(path, space, ImportOptions("w"))
    assert found.names == ("age",)
    # interfacegan and encoder4editing: wp + t * n on all rows
    check_moves(space, found, {"age": -3}, -3 * normal)


def test_a_direction_of_w_plus_keeps_its_rows(tmp_path):
    pose, space = unit(1, ROWS, WIDTH), Toy("w+")
    torch.save(torch.from_numpy(pose), tmp_path / "pose.pt")
    found = import_directions(tmp_path / "pose.pt", space, ImportOptions("w+"))
    check_moves(space, found, {"pose": 2}, 2 * pose)


def test_the_boundary_lies_at_the_mean_of_the_space(tmp_path):
    np.save(tmp_path / "a.npy", unit(1, WIDTH))
    space = Toy("w+")
    found = import_directions(tmp_path / "a.npy", space, ImportOptions("w"))
    sides = space.sample(2000, seed=5).flat @ found.vectors + found.bias
    assert 0.45 < (sides > 0).mean() < 0.55
    assert found.low < -found.bias < found.high


@pytest.mark.parametrize("names", [("comp", "mean", "std"), ("lat_comp", "lat_mean", "lat_stdev")])
def test_components_move_by_their_deviations(tmp_path, names):
    axes = np.linalg.qr(RANDOM.standard_normal((WIDTH, WIDTH)))[0].T[:3].astype(np.float32)
    deviations = np.array([3, 2, 0.5], np.float32)
    held = dict(
        zip(names, (axes[:, None], np.zeros((1, WIDTH), np.float32), deviations), strict=True)
    )
    if names[0] == "comp":
        torch.save({k: torch.from_numpy(v) for k, v in held.items()}, tmp_path / "pca")
    else:
        with (tmp_path / "pca").open("wb") as handle:
            np.savez_compressed(handle, **held)
    space = Toy("w+")
    found = import_directions(tmp_path / "pca", space, ImportOptions("w"))
    assert found.names == ("component_0", "component_1", "component_2")
    assert found.orthonormal
    check_moves(space, found, {"component_1": 1.5}, 1.5 * 2 * axes[1])


def test_factors_are_columns(tmp_path):
    vectors = np.linalg.qr(RANDOM.standard_normal((WIDTH, WIDTH)))[0].astype(np.float32)
    torch.save({"ckpt": "a.pt", "eigvec": torch.from_numpy(vectors)}, tmp_path / "factor.pt")
    space = Toy("w+")
    found = import_directions(tmp_path / "factor.pt", space, ImportOptions("w"))
    assert len(found.names) == WIDTH
    check_moves(space, found, {"component_4": 5}, 5 * vectors[:, 4])


def test_imported_directions_are_stored(tmp_path):
    np.save(tmp_path / "a.npy", unit(1, WIDTH))
    found = import_directions(tmp_path / "a.npy", Toy("z"), ImportOptions("z"))
    save_directions(tmp_path / "folder", found)
    opened = open_directions(tmp_path / "folder")
    np.testing.assert_array_equal(opened.vectors, found.vectors)
    assert opened.provenance == found.provenance


@pytest.mark.parametrize(
    ("space", "latent", "shape", "error", "sentence"),
    [
        ("w+", "z", (1, WIDTH), SpaceMismatch, r"in z cannot move w\+"),
        ("z", "w", (1, WIDTH), SpaceMismatch, "in w cannot move z"),
        ("z", "z", (1, WIDTH + 1), BadInput, r"shape \[1, 7\], latents of toy@00000000 have \[6\]"),
        ("w+", "w+", (1, ROWS + 1, WIDTH), BadInput, r"shape \[5, 6\]"),
        ("z", "z", (1, ROWS, WIDTH), BadInput, r"shape \[4, 6\]"),
    ],
)
def test_directions_of_another_space_or_width(tmp_path, space, latent, shape, error, sentence):
    np.save(tmp_path / "a.npy", np.ones(shape))
    with pytest.raises(error, match=sentence):
        import_directions(tmp_path / "a.npy", Toy(space), ImportOptions(latent))


def test_directions_that_are_none(tmp_path):
    np.save(tmp_path / "zero.npy", np.zeros((1, WIDTH)))
    with pytest.raises(BadModel, match="length 0"):
        import_directions(tmp_path / "zero.npy", Toy("z"), ImportOptions("z"))
    np.save(tmp_path / "nan.npy", np.full((1, WIDTH), np.nan))
    with pytest.raises(BadInput, match="NaN"):
        import_directions(tmp_path / "nan.npy", Toy("z"), ImportOptions("z"))
    torch.save({"conv1.conv.modulation.weight": torch.zeros(2, 2)}, tmp_path / "network.pt")
    with pytest.raises(BadInput, match="not directions"):
        import_directions(tmp_path / "network.pt", Toy("z"), ImportOptions("z"))

"""What names change in faces: closed forms on made-up shapes, and real photos seen by a judge."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.errors import BadInput
from mien.faces.cache import cached_crops, to_unit
from mien.faces.celeba import read_celeba
from mien.generators._labels import Part
from mien.recognise.recogniser import open_recogniser
from mien.train import _stargan_data as data
from mien.train import prototypes
from mien.train._stargan_data import Hints, Source, paints_of, read_sources
from mien.train._stargan_guide import Edits, Paints
from mien.train._stargan_hair import Palette, Shade
from mien.train.prototypes import FLOOR, Frame, Prototypes
from mien.train.stargan import Recipe
from tests.train.test_hair import needs_networks


def quiet(*_):
    pass


def even_shape():
    """468 points, the same on both sides of 60, with nose and sides where they belong."""
    random = np.random.default_rng(0)
    points = np.zeros((468, 2))
    points[[1, 10, 13, 14]] = [(60, 60), (60, 15), (60, 80), (60, 84)]
    right = np.stack([random.uniform(62, 90, 231), random.uniform(20, 110, 231)], 1)
    paired = np.setdiff1d(np.arange(468), [1, 10, 13, 14, 234, 454])
    points[paired[::2]], points[paired[1::2]] = right, np.c_[120 - right[:, 0], right[:, 1]]
    points[[234, 454]] = [(28, 64), (92, 64)]
    return points


def shapes(count, seed=0):
    """Shapes around it, as many turned left as right."""
    move = np.random.default_rng(seed).normal(0, 2, (count, 1, 2))
    move[1::2, :, 0] = -move[::2, :, 0]
    return even_shape() + move


def test_the_mean_shape_is_even_and_fills_the_picture():
    frame = Frame.of(shapes(10))
    mirrored = np.c_[127 - frame.points[:, 0], frame.points[:, 1]]
    apart = np.linalg.norm(frame.points[:, None] - mirrored[None], axis=-1).min(0)
    assert apart.max() < 1e-6
    assert np.ptp(frame.points, axis=0).max() == pytest.approx(112)
    assert frame.fade[64, 64] == 1
    assert frame.fade[0].max() == 0


def test_a_picture_is_warped_as_its_points_are():
    """Of an affine map the interpolation between points is exact."""
    frame = Frame.of(shapes(10))
    turn, move = np.array([[0.6, 0.1], [-0.1, 0.5]]), np.array([30.0, 40.0])
    shape = frame.points @ turn.T + move
    places = np.stack(np.meshgrid(np.arange(128.0), np.arange(128.0)), -1)
    picture = torch.from_numpy(places).permute(2, 0, 1).float()  # x and y themselves
    inside = frame.fade > 0
    found = frame.straightened(picture, shape).transpose(1, 2, 0)
    np.testing.assert_allclose(found[inside], (places @ turn.T + move)[inside], atol=0.01)
    bent = frame.bent(picture, shape).permute(1, 2, 0).numpy()
    back = (places - move) @ np.linalg.inv(turn).T
    near = frame.bent(torch.from_numpy(frame.fade[None]).float(), shape)[0].numpy() > 0.1
    np.testing.assert_allclose(bent[near], back[near], atol=0.05)
    assert near.sum() > 500
    assert bent[0, 0].max() == 0


def lit(labels):
    """Faces whose left cheek darkens with A and whose right one with A and B, under any light."""
    random = np.random.default_rng(1)
    left, right = np.zeros((2, 128, 128))
    left[56:72, 46:56], right[56:72, 64:74] = 1, 1
    a, b = labels.T[:, :, None, None]
    light = random.uniform(0.3, 0.6, (len(labels), 1, 1))
    log = np.log(light) - 0.4 * a * left - 0.5 * a * b * right
    return np.repeat(np.rint(255 * (np.exp(log) - FLOOR).clip(0))[..., None], 3, 3).astype(np.uint8)


@pytest.fixture
def still(monkeypatch):
    """The mesh finds one and the same face everywhere."""
    monkeypatch.setattr(prototypes, "mesh", lambda face: even_shape())


def test_a_regression_finds_what_each_name_changes_and_what_both_do(still):
    labels = np.random.default_rng(2).integers(0, 2, (80, 2)).astype(np.float32)
    faces = lit(labels)
    told = []
    known = Prototypes.of(faces, labels, ("A", "B"), ("A", "B"), lambda *done: told.append(done))
    assert told == [(64, 80), (80, 80)] * 2  # shapes, then means
    face = torch.full((1, 3, 128, 128), 0.0)
    factor = {
        (own, wish): known.factors(face, torch.tensor([own]), torch.tensor([wish]))[0, 1]
        for own in ((0.0, 0.0), (0.0, 1.0))
        for wish in ((1.0, 0.0), (0.0, 1.0), (2.0, 0.0))
    }

    def cheeks(own, wish):
        found = factor[own, wish].log()
        return found[60:68, 49:53].mean().item() - found[90, 60].item(), (
            found[60:68, 67:71].mean().item() - found[90, 60].item()
        )

    # both cheeks alike: what is found is made even, so that half is on either side
    assert cheeks((0.0, 0.0), (1.0, 0.0)) == pytest.approx((-0.2, -0.2), abs=0.05)
    assert cheeks((0.0, 1.0), (1.0, 0.0)) == pytest.approx((-0.45, -0.45), abs=0.05)
    assert cheeks((0.0, 1.0), (2.0, 0.0)) == pytest.approx((-0.9, -0.9), abs=0.1)
    assert cheeks((0.0, 0.0), (0.0, 1.0)) == pytest.approx((0, 0), abs=0.02)


def test_nothing_changes_around_a_face_nor_in_one_seen_from_the_side(still, monkeypatch):
    labels = np.random.default_rng(2).integers(0, 2, (80, 2)).astype(np.float32)
    known = Prototypes.of(lit(labels), labels, ("A", "B"), ("A",), quiet)
    face, none = torch.zeros(1, 3, 128, 128), torch.zeros(1, 2)
    wish = torch.tensor([[3.0, 0.0]])
    factor = known.factors(face, none, wish)
    assert (factor[..., :10] == 1).all()
    assert (factor[..., :10, :] == 1).all()
    assert factor.min() < 0.7
    assert factor.max() < np.exp(prototypes.LIFT)
    torch.testing.assert_close(known.factors(face, none, 0 * wish), torch.ones_like(face))
    turned = even_shape()
    turned[1, 0] += 0.45 * 64
    monkeypatch.setattr(prototypes, "mesh", lambda face: turned)
    torch.testing.assert_close(known.factors(face, none, wish), torch.ones_like(face))
    with pytest.raises(BadInput, match="0 photos show a face from in front, 40 are needed"):
        Prototypes.of(lit(labels), labels, ("A", "B"), (), quiet)


def test_faces_that_something_hides_do_not_count(still, monkeypatch):
    """Whoever wears glasses is black all over here, and always a B."""
    labels = np.random.default_rng(3).integers(0, 2, (120, 2)).astype(np.float32)
    faces = lit(labels)
    glasses = (np.arange(120) % 3 == 0) & (labels[:, 1] == 1)
    faces[glasses, 40:60] = 0
    some = Source(
        faces, np.arange(120), torch.from_numpy(labels), Part(("A", "B")),
        hints=Hints(~glasses, None),
    )  # fmt: skip
    paints = paints_of([some], Recipe(hair=True, guide=1.0, prototypes=(0.0, 1.5)))
    assert paints.strengths == {"A": 0, "B": 1.5}
    (known,) = paints.prototypes
    assert known.effects[1, 0, :, 45, 50:78].abs().max() < 0.05
    assert paints_of([some], Recipe()).prototypes == ()
    other = replace(some, hints=None)
    assert paints_of([other], Recipe(hair=True, guide=1.0, prototypes=(0.0, 1.5))).prototypes == ()


def test_a_guide_multiplies_photos_by_prototypes(still):
    labels = np.random.default_rng(2).integers(0, 2, (80, 2)).astype(np.float32)
    names = ("Male", "Young")
    known = Prototypes.of(lit(labels), labels, names, names, quiet)
    plain = Edits("vae-128", names, (1.0, 0.0))
    paints = Paints(None, (known,), {"Male": 0.0, "Young": 2.0})
    guide = Edits("vae-128", names, (1.0, 0.0), paints)
    faces = torch.from_numpy(guide.space.decode(guide.space.sample(2, seed=1)))
    own, targets = torch.tensor([[0.0, 1.0], [0.0, 1.0]]), torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    masks = torch.ones(2, 2, 128, 128)
    added = guide.added(faces, own, targets, names, masks)
    factor = known.factors(faces[:1], own[:1], torch.tensor([[0.0, -2.0]]))
    wanted = ((faces[:1] / 2 + 0.5 + FLOOR) * factor - FLOOR).clamp(0, 1) * 2 - 1
    torch.testing.assert_close((faces + added)[:1], wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(added[1:], plain.added(faces, own, targets, names, masks)[1:])


def test_grey_hair_is_looked_for_only_if_wanted():
    random = np.random.default_rng(0)
    faces = random.integers(0, 256, (40, 128, 128, 3)).astype(np.uint8)
    masks = np.full((40, 128, 128, 2), 255, np.uint8)
    labels = (torch.arange(40)[:, None] < 20).float()
    grey = np.arange(40) >= 25
    hints = Hints(np.ones(40, bool), grey)
    some = Source(faces, np.arange(40), labels, Part(("Black_Hair",)), masks, hints)
    found = paints_of([some], Recipe(hair=True, guide=1.0, grey=0.5))
    assert found.grey == 0.5
    np.testing.assert_allclose(
        found.palette.shades["Gray_Hair"].by_skin, Shade.of(faces[grey], masks[grey]).by_skin
    )
    without = replace(some, hints=Hints(np.ones(40, bool), None))
    palette = paints_of([without], Recipe()).palette
    assert isinstance(palette, Palette)
    assert set(palette.shades) == {"Black_Hair"}


def test_what_cannot_be_painted_is_refused():
    for field in ({"prototypes": (1.0,)}, {"grey": 0.5}):
        with pytest.raises(BadInput, match="painted where masks are; set hair=true"):
            Recipe(guide=1.0, **field)
    with pytest.raises(BadInput, match=r"grey=1\.5: give 0 to 1"):
        Recipe(guide=1.0, hair=True, grey=1.5)


def test_grey_without_age_is_refused_before_photos_are_read(celeba_root, monkeypatch):
    monkeypatch.setattr(data, "hair_masks", None)  # whoever looks for hair would fail
    recipe = Recipe(attributes=("Male",), hair=True, guide=1.0, grey=0.5)
    with pytest.raises(BadInput, match="no longer Young; give attributes with it"):
        read_sources(celeba_root, recipe)


@needs_networks
def test_real_prototypes_of_men_make_men_and_women_in_a_judges_eyes(celeba_root, monkeypatch):
    """Means of 700 photos; 40 others, and a judge that knows nothing of means."""
    monkeypatch.setattr(data, "SHOWING", 700)
    monkeypatch.setattr(data, "hair_masks", lambda photos, told: np.zeros((len(photos), 1, 1, 2)))
    recipe = Recipe(
        attributes=("Male", "Young"), hair=True, guide=1.0, prototypes=(2.0, 0.0)
    )  # fmt: skip
    sources = read_sources(celeba_root, recipe)
    (known,) = paints_of(sources, recipe).prototypes
    photos = read_celeba(celeba_root, "test").rows(slice(40))
    faces = torch.from_numpy(to_unit(cached_crops(photos.paths, 128)))
    columns = [photos.attributes.index(name) for name in recipe.attributes]
    labels = torch.from_numpy(photos.attributes.table[:, columns] > 0).float()
    other = 1 - 2 * labels[:, :1]
    factor = known.factors(faces, labels, torch.cat([2 * other, torch.zeros(40, 1)], 1))
    made = ((faces / 2 + 0.5 + FLOOR) * factor - FLOOR).clamp(0, 1) * 2 - 1
    judge = open_recogniser("judge")
    male = judge.names.index("Male")
    with torch.inference_mode():
        before, after = (judge.score(x)[:, male] for x in (faces, made))
    nearer = ((after - before) * other[:, 0]) > 0
    assert nearer.float().mean() > 0.8

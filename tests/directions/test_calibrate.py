from dataclasses import replace

import numpy as np
import pytest

from mien.directions import CalibrationOptions, calibrate, levels_of
from mien.directions._calibrate import _recognisable
from mien.directions._reach import first_reaching
from mien.errors import BadInput, SpaceMismatch, UnknownName
from mien.types import Attributes, Latent
from tests.directions.toys import directions, latent

SIZE, STEEPNESS = 12, 1.3


class LinearSpace:
    """Latents [N, 12] are faces [N, 3, 2, 2]; counts what it decodes."""

    def __init__(self):
        self.decoded = 0

    def decode(self, latents):
        self.decoded += len(latents)
        return latents.values.reshape(-1, 3, 2, 2)


class LogisticRecogniser:
    """Reads attribute m from latent axis m; blind to B when told so."""

    names = ("B", "A", "C")

    def __init__(self, ceiling=1.0):
        self.ceiling = ceiling

    def probabilities(self, faces):
        scores = STEEPNESS * faces.reshape(len(faces), -1)[:, [1, 0, 2]]
        return (self.ceiling / (1 + np.exp(-scores))).astype(np.float32)


def logistic(score):
    return 1 / (1 + np.exp(-STEEPNESS * score))


def two_sided(seed=0, count=200, half=1.5):
    """Every face lies at -half or +half on axes 0 and 1, and anywhere on the others."""
    generator = np.random.default_rng(seed)
    table = generator.choice(np.array([-1, 1], np.int8), (count, 2))
    values = generator.normal(size=(count, SIZE))
    values[:, :2] = half * table
    return latent(values), Attributes(("A", "B"), table)


def axes():
    return directions(np.eye(SIZE)[:, :2], unit=99.0)


FINE = CalibrationOptions(tolerance=1e-4, clear=1.0, most=0.85)


def test_the_unit_is_the_length_between_the_two_levels():
    faces, labels = two_sided()
    done = calibrate(axes(), LinearSpace(), LogisticRecogniser(), faces, labels, FINE)
    np.testing.assert_allclose(done.unit, 3.0, atol=0.01)  # from -1.5 to 1.5, both ways
    note = done.provenance["calibration"]["A"]
    assert note["add_reached"]
    assert note["remove_reached"]
    np.testing.assert_allclose(note["add_from"], logistic(-1.5), atol=1e-6)
    np.testing.assert_allclose(note["add_to"], logistic(1.5), atol=1e-3)


def test_a_slanted_direction_needs_more_length():
    faces, labels = two_sided()
    vector = np.zeros((SIZE, 1))
    vector[[0, 5], 0] = 0.6, 0.8
    done = calibrate(directions(vector), LinearSpace(), LogisticRecogniser(), faces, labels, FINE)
    np.testing.assert_allclose(done.unit, 3.0 / 0.6, atol=0.02)


def test_levels_of_photos_replace_those_of_decoded_faces():
    faces, labels = two_sided()
    levels = {"A": (float(logistic(-2.5)), float(logistic(2.0)))}
    options = replace(FINE, levels=levels)
    for side, want in (("add", 3.5), ("remove", 4.0), ("mean", 3.75), ("max", 4.0)):
        done = calibrate(
            axes(), LinearSpace(), LogisticRecogniser(), faces, labels, replace(options, side=side)
        )
        np.testing.assert_allclose(done.unit[0], want, atol=0.01)
        np.testing.assert_allclose(done.unit[1], 3.0, atol=0.01)
        assert done.unit_down[0] == done.unit[0]
    both = calibrate(axes(), LinearSpace(), LogisticRecogniser(), faces, labels, options)
    np.testing.assert_allclose([both.unit[0], both.unit_down[0]], [3.5, 4.0], atol=0.01)


@pytest.mark.parametrize(
    ("drift", "want"),
    [
        (9.9, 3.0 / 0.6),  # the other attribute may change as it likes: the whole way
        (1.5, 1.5 / (STEEPNESS * 0.8 / 2)),  # two others, of which one changes by 0.8 a length
        (0.1, 1.5 / 0.6),  # where every face crosses the boundary, whatever it costs
    ],
)
def test_a_way_that_changes_others_ends_earlier(drift, want):
    faces, labels = two_sided()
    vector = np.zeros((SIZE, 1))
    vector[[0, 2], 0] = 0.6, 0.8
    options = replace(FINE, drift=drift)
    done = calibrate(
        directions(vector), LinearSpace(), LogisticRecogniser(), faces, labels, options
    )
    np.testing.assert_allclose(done.unit, want, rtol=0.03)


def by_the_first_pixel(faces):
    """An embedding in which a face turns by one radian a unit of its first axis."""
    angle = faces.reshape(len(faces), -1)[:, 0].astype(np.float64)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


@pytest.mark.parametrize(("same", "want"), [(np.cos(0.7), 0.7), (np.cos(1.8), 1.8), (-1.0, 3.0)])
def test_a_way_to_another_person_ends_before(same, want):
    faces, labels = two_sided()
    options = replace(FINE, embed=by_the_first_pixel, same=float(same))
    done = calibrate(axes(), LinearSpace(), LogisticRecogniser(), faces, labels, options)
    # every face moves alike, so all pass up to one length; axis 1 keeps everybody
    np.testing.assert_allclose(done.unit, [want, 3.0], atol=0.05)
    np.testing.assert_allclose(done.unit_down, [want, 3.0], atol=0.05)


def test_a_crowd_decides_how_many_pass():
    generator = np.random.default_rng(3)
    pace = np.abs(generator.normal(1, 0.2, 400))
    pace[:64] *= 1.2  # the few that walk change more than most

    class Walking:
        def __init__(self, pace):
            self.pace, self.faces = pace, np.zeros((len(pace), 1))

        def moved(self, length):
            return self.pace[:, None] * length

        def of(self, crowd):
            return Walking(crowd)

    def turned(at):
        return np.concatenate([np.cos(at), np.sin(at)], axis=1)

    options = replace(FINE, embed=turned, same=0.9)
    length = _recognisable(Walking(pace[:64]), pace, 2.0, options)
    assert abs((np.cos(pace * length) > 0.9).mean() - 0.83) < 0.05
    assert _recognisable(Walking(pace[:64]), pace, 0.1, options) == 0.1
    assert _recognisable(Walking(pace[:64]), pace / 10, 1.0, options) == 1.0


def test_low_and_high_are_quantiles_of_the_two_sides():
    generator = np.random.default_rng(1)
    values = generator.normal(size=(500, SIZE))
    table = np.where(values[:, :2] + generator.normal(size=(500, 2)) > 0, 1, -1).astype(np.int8)
    table[::7] = 0
    options = CalibrationOptions(quantiles=(0.25, 0.6))
    faces = latent(values)
    labels = Attributes(("A", "B"), table)
    done = calibrate(axes(), LinearSpace(), LogisticRecogniser(), faces, labels, options)
    for column in range(2):
        scores, label = faces.values[:, column], table[:, column]
        np.testing.assert_allclose(
            done.low[column], np.quantile(scores[label < 0], 0.25), rtol=1e-5
        )
        np.testing.assert_allclose(
            done.high[column], np.quantile(scores[label > 0], 0.6), rtol=1e-5
        )


def test_without_labels_the_recogniser_gives_them():
    faces, labels = two_sided()
    given = calibrate(axes(), LinearSpace(), LogisticRecogniser(), faces, labels)
    seen = calibrate(axes(), LinearSpace(), LogisticRecogniser(), faces)
    np.testing.assert_array_equal(seen.unit, given.unit)
    np.testing.assert_array_equal(seen.low, given.low)


def test_a_level_out_of_reach_says_so_and_does_not_run_away():
    faces, labels = two_sided()
    options = replace(FINE, levels={"A": (0.01, 0.99)})
    weak = LogisticRecogniser(ceiling=0.9)
    done = calibrate(axes(), LinearSpace(), weak, faces, labels, options)
    note = done.provenance["calibration"]["A"]
    assert not note["add_reached"]
    assert note["remove_reached"]
    assert 0 < note["add"] <= 4 * 3.0


def test_a_blind_recogniser_leaves_the_gap_between_the_sides():
    faces, labels = two_sided()
    blind = LogisticRecogniser(ceiling=0)
    done = calibrate(axes(), LinearSpace(), blind, faces, labels, FINE)
    np.testing.assert_allclose(done.unit, 3.0, atol=1e-5)
    assert not done.provenance["calibration"]["A"]["add_reached"]


def test_few_faces_are_decoded():
    faces, labels = two_sided(count=2000)
    space = LinearSpace()
    calibrate(axes(), space, LogisticRecogniser(), faces, labels, CalibrationOptions(faces=16))
    assert space.decoded <= 2 * 2 * 16 * 12  # attributes x sides x faces x (1 + lengths tried)


def test_the_seed_decides_and_nothing_else_changes():
    faces, labels = two_sided()
    before = axes()
    first = calibrate(before, LinearSpace(), LogisticRecogniser(), faces, labels)
    again = calibrate(before, LinearSpace(), LogisticRecogniser(), faces, labels)
    np.testing.assert_array_equal(first.unit, again.unit)
    np.testing.assert_array_equal(first.vectors, before.vectors)
    assert (before.unit == 99).all()


def test_what_cannot_be_calibrated():
    faces, labels = two_sided()
    lacking = Attributes(("A", "B"), np.abs(labels.table))
    with pytest.raises(BadInput, match="0 faces without A"):
        calibrate(axes(), LinearSpace(), LogisticRecogniser(), faces, lacking)
    other = directions(np.eye(SIZE)[:, :1], names="Z")
    with pytest.raises(UnknownName, match="'Z'"):
        calibrate(other, LinearSpace(), LogisticRecogniser(), faces)
    known = Attributes(("Z",), labels.table[:, :1])
    with pytest.raises(UnknownName, match="recogniser"):
        calibrate(other, LinearSpace(), LogisticRecogniser(), faces, known)
    elsewhere = Latent(faces.values, "w", "toy@0")
    with pytest.raises(SpaceMismatch):
        calibrate(axes(), LinearSpace(), LogisticRecogniser(), elsewhere, labels)
    with pytest.raises(UnknownName, match="unknown side"):
        CalibrationOptions(side="median")
    with pytest.raises(BadInput, match="faces is 0"):
        CalibrationOptions(faces=0)


def test_levels_of_photos_are_the_clear_cases_of_the_two_sides():
    seen = np.linspace(0, 1, 202)[:, None] * [0.0, 1.0]
    table = np.array([[1, -1]] * 101 + [[1, 1]] * 101, np.int8)
    table[101] = 0  # unknown takes no part
    levels = levels_of(seen, ("B", "A"), Attributes(("B", "A"), table))
    assert levels.keys() == {"A"}  # no face lacks B
    want = np.quantile(seen[:101, 1], 0.1), np.quantile(seen[102:, 1], 0.9)
    np.testing.assert_allclose(levels["A"], want)


@pytest.mark.parametrize("power", [0.5, 1, 3])
def test_reaching_a_level_of_a_known_curve(power):
    tried = []

    def curve(length):
        tried.append(length)
        return (length / 10) ** power

    found = first_reaching(curve, 0.3, start=1.0, furthest=20.0, tolerance=1e-3)
    assert found.reached
    assert abs(curve(found.length) - 0.3) <= 1e-3
    assert len(tried) <= 15


def test_a_plateau_is_taken_where_it_begins():
    found = first_reaching(lambda x: min(x, 2) / 10, 0.9, 1.0, 16.0, 1e-3)
    assert not found.reached
    np.testing.assert_allclose(found.length, 1.8)  # 90 % of what can be had
    np.testing.assert_allclose(found.level, 0.18)


def test_levels_are_kept_clear_of_the_last_percent():
    faces, labels = two_sided()
    levels = {"A": (0.001, 0.999)}
    within = calibrate(axes(), LinearSpace(), LogisticRecogniser(), faces, labels,
                       replace(FINE, levels=levels, clear=0.9))  # fmt: skip
    given = calibrate(axes(), LinearSpace(), LogisticRecogniser(), faces, labels,
                      replace(FINE, levels={"A": (0.1, 0.9)}))  # fmt: skip
    assert within.unit[0] == given.unit[0]

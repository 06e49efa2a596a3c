import numpy as np
import pytest

from mien.errors import BadGallery, BadInput
from mien.search.sheet import BAR, PAPER, REST, SheetOptions, contact_sheet, largest_shares
from mien.search.thumbnail import from_thumbnail, to_thumbnail
from mien.types import Hit

FACE = np.full((128, 128, 3), (200, 30, 30), np.uint8)


def colour(red, green, blue):
    face = np.array([red, green, blue], np.float32)[:, None, None] * np.ones((3, 64, 64))
    return to_thumbnail((face / 127.5 - 1).astype(np.float32))


def hit(rank, **shares):
    rest = shares.pop("rest", 1.0)
    return Hit(f"face-{rank}", "", sum(shares.values()) + rest, shares, rest)


def count(pixels, wanted):
    return int((pixels == np.array(wanted)).all(axis=2).sum())


def test_the_largest_shares_come_first_and_the_rest_last():
    shown = largest_shares(hit(1, A=0.5, B=2.0, C=0.0, D=1.0, rest=9.0), 2)
    assert shown == [("B", 2.0), ("D", 1.0), ("rest of the face", 9.0)]
    assert largest_shares(hit(1, A=0.0, rest=0.0), 4) == [("rest of the face", 0.0)]


def test_equal_shares_are_shown_by_name():
    assert largest_shares(hit(1, B=1.0, A=1.0), 1)[0] == ("A", 1.0)


def test_query_and_hits_stand_where_they_belong():
    options = SheetOptions(columns=2, side=100)
    pictures = [colour(20, 160, 40), colour(20, 40, 160), colour(160, 160, 20)]
    sheet = contact_sheet(FACE, [hit(n, A=1.0) for n in range(3)], pictures, options)
    pixels = np.asarray(sheet).astype(int)
    assert count(pixels, PAPER) > pixels.shape[0] * pixels.shape[1] / 4
    places = []
    for wanted in [(200, 30, 30), (20, 160, 40), (20, 40, 160), (160, 160, 20)]:
        near = np.abs(pixels - wanted).max(axis=2) < 12
        rows, columns = np.nonzero(near)
        assert near.sum() == pytest.approx(100 * 100, rel=0.02)
        places.append((rows.mean(), columns.mean()))
    (_, query), (top, first), (same, second), (below, third) = places
    assert query < first == pytest.approx(third, abs=2)
    assert first < second
    assert top == pytest.approx(same, abs=2)
    assert below > top


def test_bars_are_as_long_as_the_shares():
    options = SheetOptions(columns=1, side=200)
    one = contact_sheet(FACE, [hit(1, A=4.0, B=1.0, rest=2.0)], [colour(0, 0, 0)], options)
    pixels = np.asarray(one)
    thick = 4
    assert count(pixels, BAR) == pytest.approx(thick * 200 * (1 + 1 / 4), rel=0.05)
    assert count(pixels, REST) == pytest.approx(thick * 200 / 2, rel=0.05)


def test_all_hits_share_one_scale():
    options = SheetOptions(columns=2, side=200, bars=1)
    hits = [hit(1, A=4.0, rest=0.0), hit(2, A=1.0, rest=0.0)]
    pixels = np.asarray(contact_sheet(FACE, hits, [colour(0, 0, 0)] * 2, options))
    assert count(pixels, BAR) == pytest.approx(4 * 200 * (1 + 1 / 4), rel=0.05)


@pytest.mark.parametrize("hits", [0, 1, 7])
@pytest.mark.parametrize("edited", [None, FACE])
def test_any_number_of_hits_makes_a_sheet(hits, edited):
    options = SheetOptions(edited=edited, caption=("adjust Smiling=1", "x" * 400))
    found = [hit(n, A=0.0, rest=0.0) for n in range(hits)]
    sheet = contact_sheet(FACE, found, [colour(9, 9, 9)] * hits, options)
    pixels = np.asarray(sheet)
    faces = 1 if edited is None else 2
    assert count(pixels, (200, 30, 30)) == faces * options.side**2
    assert count(pixels[-4:], PAPER) == pixels[-4:].shape[0] * pixels.shape[1]  # nothing cut off


def test_wrong_calls_are_refused():
    with pytest.raises(BadInput, match="2 hits came with 1"):
        contact_sheet(FACE, [hit(1), hit(2)], [colour(0, 0, 0)])
    with pytest.raises(BadInput, match="at least 1 column"):
        contact_sheet(FACE, [], [], SheetOptions(columns=0))


def test_a_damaged_thumbnail_is_one_sentence():
    with pytest.raises(BadGallery, match="thumbnail is damaged"):
        from_thumbnail(colour(0, 0, 0)[:200])


def test_a_thumbnail_shows_the_face():
    picture = np.asarray(from_thumbnail(colour(200, 30, 90))).astype(int)
    assert picture.shape == (128, 128, 3)
    assert np.abs(picture - (200, 30, 90)).max() <= 6

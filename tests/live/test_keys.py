"""What keys do, without a window."""

from __future__ import annotations

from mien.live.keys import ESCAPE, NONE, Shown, Targets, legend, pressed

HAIR = ("Black_Hair", "Blond_Hair")
TARGETS = Targets(
    {"Blond_Hair": 1.0, "Young": 0.0, "Black_Hair": 1.0, "Smiling": 2.0},
    lambda name: HAIR if name in HAIR else (),
)


def after(keys: str, wish: dict[str, float] | None = None) -> Shown:
    shown = Shown(wish or {})
    for key in keys:
        shown = pressed(ord(key), shown, TARGETS)
    return shown


def test_numbers_turn_targets_on_and_off() -> None:
    assert after("4").wish == {"Smiling": 2}
    assert after("42").wish == {"Smiling": 2, "Young": 0}
    assert after("424").wish == {"Young": 0}
    assert after("0", {"Smiling": 2.0, "Young": 0.0}).wish == {}


def test_a_hair_colour_takes_the_place_of_the_other() -> None:
    assert after("341").wish == {"Smiling": 2, "Blond_Hair": 1}
    assert after("13").wish == {"Black_Hair": 1}


def test_other_keys_change_nothing() -> None:
    shown = Shown({"Young": 0.0})
    for key in (NONE, ord("5"), ord("9"), ord("x"), 255, 13):
        assert pressed(key, shown, TARGETS) == shown


def test_escape_and_q_end() -> None:
    assert not pressed(ESCAPE, Shown(), TARGETS).running
    assert not after("q").running
    assert after("1").running


def test_only_nine_keys_and_their_legend() -> None:
    many = Targets({f"a{number}": 1.0 for number in range(12)})
    assert len(many.slots) == 9
    assert legend(after("1"), TARGETS) == "1 [Blond_Hair]  2 Young  3 Black_Hair  4 Smiling"

"""Which keys do what while a window is open: pure functions, so that they need no window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

NONE, ESCAPE = -1, 27  # codes of OpenCV's waitKey
SLOTS = 9  # keys 1 to 9


@dataclass(frozen=True)
class Shown:
    """What is shown now.

    wish: target -> amount or presence, of those that are on. running: False ends it.
    """

    wish: Mapping[str, float] = field(default_factory=dict)
    running: bool = True


@dataclass(frozen=True)
class Targets:
    """What keys can change.

    amounts: target -> what it is set to when it is turned on, in the order of the keys.
    rivals: the targets that one cannot be on with.
    """

    amounts: Mapping[str, float]
    rivals: Callable[[str], Sequence[str]] = lambda name: ()

    @property
    def slots(self) -> tuple[str, ...]:
        """The targets of keys 1 to 9."""
        return tuple(self.amounts)[:SLOTS]


def pressed(key: int, shown: Shown, targets: Targets) -> Shown:
    """What is shown after a key.

    1 to 9 turn a target on or off, those it cannot be on with go off; 0 shows the face
    as it is; Esc and q end. Any other key changes nothing.
    """
    if key in (ESCAPE, ord("q")):
        return replace(shown, running=False)
    if key == ord("0"):
        return replace(shown, wish={})
    number = key - ord("1")
    if not 0 <= number < len(targets.slots):
        return shown
    name = targets.slots[number]
    if name in shown.wish:
        return replace(shown, wish={n: a for n, a in shown.wish.items() if n != name})
    rivals = targets.rivals(name)
    kept = {n: amount for n, amount in shown.wish.items() if n not in rivals}
    return replace(shown, wish=kept | {name: targets.amounts[name]})


def legend(shown: Shown, targets: Targets) -> str:
    """One line: the keys' targets, those that are on in brackets."""
    names = [f"[{n}]" if n in shown.wish else n for n in targets.slots]
    return "  ".join(f"{number} {name}" for number, name in enumerate(names, start=1))

"""From a wanted presence to an amount: what `--set Smiling=1` means."""

from __future__ import annotations

from collections.abc import Mapping

from mien.errors import BadInput, UnknownName


def amounts_for(wanted: Mapping[str, float], present: Mapping[str, float]) -> dict[str, float]:
    """attribute -> amount in calibrated units: the wanted presence minus the present one.

    wanted: attribute -> presence in [0, 1]; present: attribute -> probability
    in [0, 1], as a recogniser sees the face now. A face that smiles already is
    thus not moved by Smiling=1. Raises BadInput for a presence outside [0, 1],
    UnknownName for an attribute that `present` lacks.
    """
    for name, presence in wanted.items():
        check_presence(name, presence)
        if name not in present:
            raise UnknownName("attribute", name, present)
    return {name: float(presence) - float(present[name]) for name, presence in wanted.items()}


def check_presence(name: str, presence: float) -> None:
    """Raise BadInput unless `presence` is a number in [0, 1]."""
    number = isinstance(presence, int | float) and not isinstance(presence, bool)
    if not number or not 0 <= presence <= 1:
        raise BadInput(f"{name} is set to {presence!r}, expected a presence from 0 to 1")

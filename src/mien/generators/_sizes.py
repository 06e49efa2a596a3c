"""Sizes that follow from the options of a generator."""

from __future__ import annotations

from mien.errors import BadInput


def resolutions(size: int) -> list[int]:
    """4, 8, ... size. Raises BadInput unless that is a power of two from 8."""
    if size < 8 or size & (size - 1):
        raise BadInput(f"size is {size}, expected a power of two from 8")
    return [2**n for n in range(2, size.bit_length())]


class Styled:
    """What an architecture with a mapping network has beside its options."""

    size: int  # px
    latent: int  # D, of w
    layers: int  # of the mapping
    z: int | None  # width of z where it is not that of w
    hidden: int | None  # width of the mapping where it is not that of w

    @property
    def styles(self) -> int:
        """L: rows of a w+ latent, 2 log2(size) - 2."""
        return 2 * len(resolutions(self.size))

    @property
    def mapping(self) -> list[int]:
        """Widths of z and of each mapping layer's output."""
        inner = [self.hidden or self.latent] * (self.layers - 1)
        return [self.latent if self.z is None else self.z, *inner, self.latent]

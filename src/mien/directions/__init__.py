"""Directions: find, calibrate, store, and move latents along them.

The parts (`rooms.available("directions")`) are the finders, one file each;
this door gives what every caller needs. Importing it costs NumPy only.
"""

from mien.directions._calibrate import CalibrationOptions, calibrate, levels_of
from mien.directions._distribution import bounded, fit_distribution
from mien.directions._edit import edit
from mien.directions._files import open_directions, save_directions

__all__ = [
    "CalibrationOptions",
    "bounded",
    "calibrate",
    "edit",
    "fit_distribution",
    "levels_of",
    "open_directions",
    "save_directions",
]

"""Directions: find, calibrate, store, and move latents along them.

The parts (`rooms.available("directions")`) are the finders, one file each;
this door gives what every caller needs. Importing it costs NumPy only.
"""

from mien.directions._calibrate import CalibrationOptions, calibrate, levels_of
from mien.directions._condition import condition
from mien.directions._distribution import bounded, fit_distribution
from mien.directions._edit import amounts_to, edit
from mien.directions._files import open_directions, save_directions
from mien.directions._layers import check_layers, layer_set
from mien.directions._published import ImportOptions, import_directions
from mien.directions._rows import over_rows
from mien.directions._samples import SampleOptions, labelled_samples

__all__ = [
    "CalibrationOptions",
    "ImportOptions",
    "SampleOptions",
    "amounts_to",
    "bounded",
    "calibrate",
    "check_layers",
    "condition",
    "edit",
    "fit_distribution",
    "import_directions",
    "labelled_samples",
    "layer_set",
    "levels_of",
    "open_directions",
    "over_rows",
    "save_directions",
]

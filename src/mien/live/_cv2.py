"""OpenCV: cameras, optical flow, fast warps, a window. Imported here and nowhere else."""

from __future__ import annotations

from functools import cache
from typing import Any

from mien.errors import MissingExtra


@cache
def cv2() -> Any:
    """The module, which says nothing on stderr; MissingExtra where it is not installed."""
    try:
        import cv2 as module
    except ImportError as error:  # also where a library of the system is missing
        raise MissingExtra(
            f'live needs OpenCV ({error}); run: pip install "mien[live]", or where there is '
            "no screen: pip install opencv-python-headless"
        ) from error
    module.utils.logging.setLogLevel(module.utils.logging.LOG_LEVEL_SILENT)
    return module

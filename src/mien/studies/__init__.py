"""Published experiments and mien's own measurements, one file each; every one prints its table."""

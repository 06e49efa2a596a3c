"""Photo <-> aligned face: read, detect, align, paste; CelebA's layout and plain folders."""

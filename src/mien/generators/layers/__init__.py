"""Layers that several generators share, one idea a file."""

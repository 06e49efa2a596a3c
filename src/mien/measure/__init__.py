"""One number a file."""

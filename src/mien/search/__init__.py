"""Rank a gallery by "like this face, with these changes, and these attributes matter most"."""

"""Faces to latents of generators that cannot read photos by themselves; one file a method."""

"""How networks run: precision."""

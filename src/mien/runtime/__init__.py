"""How networks run: engine and precision."""

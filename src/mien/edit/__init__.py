"""Edits: from wishes to amounts, strips over a range, recipes that can be shared."""

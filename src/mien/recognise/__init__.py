"""The 40-attribute recogniser, the judge of edits, and the identity embedding."""

"""The reference in docs/ that is written from the code."""

"""Texts leave the house here: claimed, handed to a provider, and what became of them written down."""

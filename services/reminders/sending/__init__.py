"""Due texts are claimed, handed to a provider, and what became of them is written down."""

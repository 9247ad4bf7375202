"""What all three services share: the contract, and the road every message takes. It knows no service."""

from typing import Final

VERSION: Final = "0.1.0"
"""The release, as `pyproject.toml` has it: an image holds the code alone."""

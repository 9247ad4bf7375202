"""The clinics that are shipped."""

from pathlib import Path
from typing import Final

import deploy

CLINICS: Final = Path(deploy.__file__).with_name("clinics")
"""The folder of the shipped profiles."""

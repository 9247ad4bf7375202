"""The secrets of a deployment: one file each in the folder `secrets/` beside docker-compose.yml, made once and kept.

| file | who reads it | what it is |
|---|---|---|
| `postgres_password` | PostgreSQL, `migrate` | of PostgreSQL's administrator |
| `<service>_database_password` | `migrate`, the service | of the service's role in its own database |
| `kafka_admin_password` | Kafka, `topics` | of Kafka's administrator, who logs in inside of its container only |
| `kafka_<service>_password` | `topics`, the service | of the service's account at Kafka |
| `kafka_clinic_password` | `topics`, the clinic's systems | of the account `clinic` |
| `grafana_admin_password` | Grafana | of its user `admin` |
| `twilio_auth_token` | reminders | Twilio's own; empty while texts go to the console |
| `keys/api_keys.toml` | the services | hashed API keys; read again when changed, so in a folder of their own |

A container sees of a file secret the mode that it has outside, and runs as another user: the files are readable, and
the folder that they lie in is closed to all but its owner. No file ends with a line end, which Kafka would take for a
part of the password.
"""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deploy.preparing.accounts import ACCOUNTS
from deploy.preparing.databases import SERVICES

MADE_UP: Final = (
    "postgres_password",
    *(f"{service}_database_password" for service in SERVICES),
    "kafka_admin_password",
    *(f"kafka_{account}_password" for account in ACCOUNTS),
    "grafana_admin_password",
)
"""Secrets that nobody needs to choose."""

TWILIO_AUTH_TOKEN: Final = "twilio_auth_token"
API_KEYS: Final = "keys/api_keys.toml"

BYTES: Final = 32
"""Of chance in a secret that is made up."""


def write_missing(folder: Path, given: Mapping[str, str] | None = None) -> list[str]:
    """Write the files that are not there; what is there stays as it is.

    Args:
        folder: made where it is missing.
        given: contents by file, instead of a secret that is made up or an empty file.

    Returns:
        The files that were written.

    Raises:
        OSError: the folder or a file cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    contents = {name: secrets.token_urlsafe(BYTES) for name in MADE_UP} | {TWILIO_AUTH_TOKEN: "", API_KEYS: ""}
    written = []
    for name, content in (contents | dict(given or {})).items():
        file = folder / name
        file.parent.mkdir(mode=0o755, exist_ok=True)
        if not file.exists():
            file.write_text(content)
            file.chmod(0o444 if name != API_KEYS else 0o644)
            written.append(name)
    return written

"""API keys: who calls, and in which roles. Keys are compared by their digests; the file holds nothing else."""

import hashlib
import hmac
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.configuration.settings import Misconfigured


class Role(StrEnum):
    """What a key's owner may do."""

    FRONT_DESK = "front_desk"
    TILL = "till"
    BILLER = "biller"
    OPERATOR = "operator"


class ApiKey(BaseModel):
    """One key in the file of keys: its SHA-256 in hexadecimal, never itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    roles: tuple[Role, ...]


class ApiKeys:
    """The keys that open this service, read again whenever their file changes: a key taken out is shut at once."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._read_at = -1
        self._keys: tuple[ApiKey, ...] = ()
        self._refresh()

    def owner(self, token: str) -> ApiKey | None:
        """The key that a token is, compared in constant time."""
        self._refresh()
        digest = hashlib.sha256(token.encode()).hexdigest()
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def _refresh(self) -> None:
        if self._file is None:
            return
        try:
            changed_at = self._file.stat().st_mtime_ns
            if changed_at != self._read_at:
                document = tomllib.loads(self._file.read_text())
                self._keys = tuple(ApiKey.model_validate(key) for key in document.get("keys", ()))
                self._read_at = changed_at
        except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
            raise Misconfigured(f"CHAIRTIME_API_KEYS: {type(error).__name__} in {self._file}") from None

"""API keys: who calls, and in which roles. Keys are compared by their digests; the file holds nothing else."""

import hashlib
import hmac
import logging
import re
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.configuration.settings import Misconfigured

log = logging.getLogger(__name__)


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


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: tuple[ApiKey, ...] = ()


class ApiKeys:
    """The keys that open this service, read again whenever their file changes: a key taken out is shut at once.

    The file is edited while the service runs. Where it cannot be read, or has a mistake, the keys that it had before
    stay in force until it is mended.

    Raises:
        Misconfigured: the first reading fails: there are no earlier keys.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._seen: object = None
        self._keys: tuple[ApiKey, ...] = ()
        self._mistake: str | None = None
        if (mistake := self.refresh()) is not None:
            raise Misconfigured(f"CHAIRTIME_API_KEYS: {mistake}")

    def owner(self, token: str) -> ApiKey | None:
        """The key that a token is, compared in constant time."""
        self.refresh()
        digest = hashlib.sha256(token.encode()).hexdigest()
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def refresh(self) -> str | None:
        """Read the file if it is another than before. A mistake stands in the log once.

        Returns:
            What is wrong with the file as it is now, in a line without its content; None where it is in force.
        """
        if self._file is None:
            return None
        try:
            status = self._file.stat()
            seen: object = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        except OSError as error:
            seen = type(error).__name__
        if seen != self._seen:
            self._seen = seen
            self._read(self._file)
        return self._mistake

    def _read(self, file: Path) -> None:
        try:
            self._keys = read_keys(file)
        except Misconfigured as error:
            self._mistake = str(error)
            log.error("the file of API keys is not in force, what it held before is: %s", self._mistake)
            return
        if self._mistake is not None:
            log.info("the file of API keys is in force again: %s", file)
        self._mistake = None


def read_keys(file: Path) -> tuple[ApiKey, ...]:
    """The keys of a file.

    Raises:
        Misconfigured: the file and what is wrong with it, never a value of it.
    """
    try:
        return _File.model_validate(tomllib.loads(file.read_text("utf-8"))).keys
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"\(at .*\)", str(error))
        reason = f"no TOML {where[0] if where else ''}".strip()
    except UnicodeDecodeError:
        reason = "not UTF-8"
    except OSError as error:
        reason = type(error).__name__
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        reason = "; ".join(f"{'.'.join(str(step) for step in fault['loc'])}: {fault['type']}" for fault in faults[:3])
    raise Misconfigured(f"{file}: {reason}")

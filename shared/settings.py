"""Settings that every service has, from the environment; a service's own stand in its `settings.py`."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

EX_CONFIG: Final = 78
"""Exit code of a start that a wrong setting or profile stopped (sysexits.h)."""


class Misconfigured(Exception):
    """A setting or profile is wrong. Its text is one line: which file or variable, which key, why; no secret."""


class ServiceSettings(BaseSettings):
    """Common to all services. Each variable is `CHAIRTIME_` and the name in capitals."""

    model_config = SettingsConfigDict(env_prefix="CHAIRTIME_", frozen=True, extra="ignore")

    kafka: str = Field(description="Kafka's bootstrap servers, host:port, several separated by commas")
    kafka_alone: int | None = Field(
        default=None, description="partitions of each topic of a Kafka that this process has to itself; no group then"
    )
    profiles: Path = Field(default=Path("deploy/clinics"), description="folder with one folder a clinic")
    clinics: Annotated[tuple[str, ...] | None, NoDecode] = Field(
        default=None, description="clinics served, separated by commas; all in the folder when unset"
    )
    host: str = Field(default="127.0.0.1", description="address to listen on")
    api_keys: Path | None = Field(default=None, description="TOML file with hashed API keys; no key opens without it")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("kafka")
    @classmethod
    def _has_ports(cls, value: str) -> str:
        for address in value.split(","):
            _, colon, port = address.strip().rpartition(":")
            if colon and not (port.isdecimal() and int(port) <= 65535):
                raise ValueError("must be host:port, several separated by commas")
        return value

    @field_validator("clinics", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip()) or None
        return value


S = TypeVar("S", bound=ServiceSettings)


def read_settings(model: type[S], **given: Any) -> S:
    """Settings from the environment; `given` goes before it.

    Raises:
        Misconfigured: with the variable and the reason.
    """
    try:
        return model(**given)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        name = str(fault["loc"][0]) if fault["loc"] else "settings"
        variable = name.upper() if name.isupper() else f"CHAIRTIME_{name.upper()}"
        reason = "is not set" if fault["type"] == "missing" else fault["msg"].removeprefix("Value error, ")
        raise Misconfigured(f"{variable}: {reason}") from None

"""Settings that every service has, from the environment or, secrets above all, from files; a service's own stand in its
`settings.py`.
"""

import os
import ssl
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, Field, FilePath, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.kafka.cluster import Cluster, Mechanism

EX_CONFIG: Final = 78
"""Exit code of a start that a wrong setting or profile stopped (sysexits.h)."""


class Misconfigured(Exception):
    """A setting or profile is wrong. Its text is one line: which file or variable, which key, why; no secret."""


SECRETS: Final = "CHAIRTIME_SECRETS"
"""Names a folder of files, each named like a variable in small letters, for what is not in the environment."""

SHORTEST: Final = 16
"""Characters of a secret in production, at least."""

WELL_KNOWN: Final = ("changeme", "chairtime", "default", "example", "password", "postgres", "secret")
"""Words that stand in secrets which nobody has made up."""


def _database_url(value: str) -> str:
    if not value.startswith("postgresql://"):
        raise ValueError("must be postgresql://role@host:port/name")
    return value


DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
"""`postgresql://role:password@host:port/name`, the password perhaps in a file of its own."""


class ServiceSettings(BaseSettings):
    """Common to all services. Each variable is `CHAIRTIME_` and the name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix="CHAIRTIME_",
        env_ignore_empty=True,  # compose cannot leave a variable out
        frozen=True,
        extra="ignore",
    )

    kafka: str = Field(description="Kafka's bootstrap servers, host:port, several separated by commas")
    kafka_user: str | None = Field(default=None, description="account at Kafka; none is asked for when unset")
    kafka_mechanism: Mechanism = Field(default="SCRAM-SHA-512", description="how the account shows its password")
    kafka_password: SecretStr | None = Field(default=None, description="the account's password", validate_default=True)
    kafka_ca_file: FilePath | None = Field(
        default=None,
        description="certificates in PEM that Kafka's must lead to: the connection is encrypted (TLS) then",
    )
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
    production: bool = Field(default=False, description="refuse to start with what only a trial may have")

    @field_validator("kafka")
    @classmethod
    def _has_ports(cls, value: str) -> str:
        for address in value.split(","):
            _, colon, port = address.strip().rpartition(":")
            if colon and not (port.isdecimal() and int(port) <= 65535):
                raise ValueError("must be host:port, several separated by commas")
        return value

    @field_validator("kafka_password")
    @classmethod
    def _of_an_account(cls, value: SecretStr | None, others: ValidationInfo) -> SecretStr | None:
        if (others.data.get("kafka_user") is None) != (value is None):
            raise ValueError(
                "an account at Kafka is CHAIRTIME_KAFKA_USER and CHAIRTIME_KAFKA_PASSWORD, both or neither"
            )
        return value

    @field_validator("kafka_ca_file")
    @classmethod
    def _holds_certificates(cls, value: Path | None) -> Path | None:
        try:
            ssl.create_default_context(cafile=value and str(value))
        except OSError as error:  # an SSLError, too
            raise ValueError(f"{value} cannot be taken: {error.strerror or 'holds no certificate in PEM'}") from None
        return value

    @field_validator("clinics", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip()) or None
        return value

    @property
    def cluster(self) -> Cluster:
        """The Kafka that the settings name."""
        password = self.kafka_password.get_secret_value() if self.kafka_password else None
        return Cluster(self.kafka, self.kafka_user, password, self.kafka_ca_file, self.kafka_mechanism)

    def require_production(self) -> None:
        """See that nothing is open, short or well known.

        Raises:
            Misconfigured: something is.
        """
        if self.kafka_user is None:
            raise Misconfigured(
                "CHAIRTIME_KAFKA_USER: is not set, but CHAIRTIME_PRODUCTION is on: Kafka needs accounts"
            )
        self.require_strong_secrets()

    def require_strong_secrets(self) -> None:
        """See that no secret is short or well known.

        Raises:
            Misconfigured: one is.
        """
        for name in type(self).model_fields:
            secret = getattr(self, name)
            if isinstance(secret, SecretStr) and (fault := weakness(secret.get_secret_value())):
                raise Misconfigured(f"CHAIRTIME_{name.upper()}: {fault}, but CHAIRTIME_PRODUCTION is on")


def weakness(secret: str) -> str | None:
    """What is wrong with a secret that must hold for years, or None."""
    if len(secret) < SHORTEST:
        return f"has fewer than {SHORTEST} characters"
    if len(set(secret)) < 6 or any(word in secret.lower() for word in WELL_KNOWN):
        return "is one that others may guess"
    return None


Settings = TypeVar("Settings", bound=ServiceSettings)


def read_settings(model: type[Settings], **given: Any) -> Settings:
    """Settings from the environment and the files in `CHAIRTIME_SECRETS`; `given` goes before both.

    Raises:
        Misconfigured: with the variable and the reason.
    """
    folder = os.environ.get(SECRETS) or None
    if folder is not None and not Path(folder).is_dir():
        raise Misconfigured(f"{SECRETS}: there is no folder {folder}")
    try:
        settings = model(_secrets_dir=folder, **given)
        if settings.production:
            settings.require_production()
        return settings
    except OSError as error:
        raise Misconfigured(f"{SECRETS}: {error.filename}: {error.strerror}") from None
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        name = str(fault["loc"][0]) if fault["loc"] else "settings"
        variable = name.upper() if name.isupper() else f"CHAIRTIME_{name.upper()}"
        reason = "is not set" if fault["type"] == "missing" else fault["msg"].removeprefix("Value error, ")
        raise Misconfigured(f"{variable}: {reason}") from None

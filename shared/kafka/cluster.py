"""Which Kafka, and by which account it is reached, as our Kafka libraries want to be told."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]
"""How an account shows that it knows its password; with PLAIN the password itself travels."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kafka as one account sees it.

    Attributes:
        servers: `host:port`, several separated by commas.
        user: the account; None where Kafka asks for none.
        password: the account's.
        ca_file: certificates in PEM that the broker's must lead to; the connection is encrypted then.
        mechanism: as the broker has it for this account.
    """

    servers: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    mechanism: Mechanism = "SCRAM-SHA-512"

    @property
    def protocol(self) -> str:
        """Kafka's name for how it is spoken to."""
        encrypted = "SSL" if self.ca_file else "PLAINTEXT"
        return encrypted if self.user is None else f"SASL_{encrypted}"

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What the broker's certificate is held against, where the connection is encrypted."""
        return ssl.create_default_context(cafile=str(self.ca_file)) if self.ca_file else None

    @property
    def aiokafka(self) -> dict[str, Any]:
        """For aiokafka's clients."""
        settings = {"bootstrap_servers": self.servers, "security_protocol": self.protocol, "ssl_context": self.tls}
        if self.user is None:
            return settings
        return settings | {
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.user,
            "sasl_plain_password": self.password,
        }

    @property
    def librdkafka(self) -> dict[str, Any]:
        """For confluent-kafka's clients."""
        settings: dict[str, Any] = {"bootstrap.servers": self.servers, "security.protocol": self.protocol}
        if self.ca_file:
            settings["ssl.ca.location"] = str(self.ca_file)
        if self.user is None:
            return settings
        return settings | {"sasl.mechanism": self.mechanism, "sasl.username": self.user, "sasl.password": self.password}

"""Every environment variable that billing reads besides the common ones."""

from pydantic import Field, SecretStr

from shared.configuration.settings import DatabaseUrl, ServiceSettings
from shared.postgres.pool import with_password


class BillingSettings(ServiceSettings):
    """Billing's settings."""

    billing_database: DatabaseUrl = Field(
        description="URL of billing's database: postgresql://role:password@host:port/name"
    )
    billing_database_password: SecretStr | None = Field(
        default=None, description="the role's password, if not in the URL"
    )
    billing_port: int = Field(default=8002, ge=0, le=65535, description="port to listen on")

    @property
    def database_url(self) -> str:
        """Everything that a connection needs."""
        return with_password(self.billing_database, self.billing_database_password)

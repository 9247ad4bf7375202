"""Every environment variable that billing reads besides the common ones."""

from pydantic import Field

from shared.settings import ServiceSettings


class BillingSettings(ServiceSettings):
    """Billing's settings."""

    billing_database: str = Field(description="URL of billing's database: postgresql://role:password@host:port/name")
    billing_port: int = Field(default=8002, ge=0, le=65535, description="port to listen on")

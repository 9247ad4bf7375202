"""Every environment variable that booking reads besides the common ones."""

from pydantic import Field, SecretStr

from shared.configuration.settings import DatabaseUrl, ServiceSettings
from shared.postgres.pool import with_password


class BookingSettings(ServiceSettings):
    """Booking's settings."""

    booking_database: DatabaseUrl = Field(
        description="URL of booking's database: postgresql://role:password@host:port/name"
    )
    booking_database_password: SecretStr | None = Field(
        default=None, description="the role's password, if not in the URL"
    )
    booking_port: int = Field(default=8001, ge=0, le=65535, description="port to listen on")

    @property
    def database_url(self) -> str:
        """Everything that a connection needs."""
        return with_password(self.booking_database, self.booking_database_password)

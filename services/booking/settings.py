"""Every environment variable that booking reads besides the common ones."""

from pydantic import Field

from shared.settings import ServiceSettings


class BookingSettings(ServiceSettings):
    """Booking's settings."""

    booking_database: str = Field(description="URL of booking's database: postgresql://role:password@host:port/name")
    booking_port: int = Field(default=8001, ge=0, le=65535, description="port to listen on")

"""What the commands read that prepare Kafka and PostgreSQL: the administrators' access, and everybody's password."""

from pydantic import Field, SecretStr

from deploy.preparing.accounts import ACCOUNTS
from deploy.preparing.databases import SERVICES
from shared.configuration.settings import DatabaseUrl, ServiceSettings
from shared.postgres.pool import with_password


class AccountSettings(ServiceSettings):
    """For Kafka's accounts; `CHAIRTIME_KAFKA_USER` is its administrator here."""

    kafka_booking_password: SecretStr
    kafka_billing_password: SecretStr
    kafka_reminders_password: SecretStr
    kafka_clinic_password: SecretStr

    @property
    def passwords(self) -> dict[str, str]:
        """By account."""
        return {account: getattr(self, f"kafka_{account}_password").get_secret_value() for account in ACCOUNTS}


class DatabaseSettings(ServiceSettings):
    """For the databases and their roles."""

    kafka: str = ""
    admin_database: DatabaseUrl = Field(description="URL of a superuser of the PostgreSQL server")
    admin_database_password: SecretStr | None = Field(default=None, description="the superuser's, if not in the URL")
    booking_database_password: SecretStr
    billing_database_password: SecretStr
    reminders_database_password: SecretStr

    @property
    def admin_url(self) -> str:
        """Everything that a connection needs."""
        return with_password(self.admin_database, self.admin_database_password)

    @property
    def passwords(self) -> dict[str, str]:
        """By service."""
        return {service: getattr(self, f"{service}_database_password").get_secret_value() for service in SERVICES}

    def require_production(self) -> None:
        self.require_strong_secrets()

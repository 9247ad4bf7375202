"""Every environment variable that reminders reads besides the common ones."""

from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, TypeAdapter, ValidationError, field_validator
from pydantic_settings import NoDecode

from shared.configuration.settings import DatabaseUrl, Misconfigured, ServiceSettings
from shared.contract.fields import Phone
from shared.postgres.pool import with_password

_PHONE: TypeAdapter[str] = TypeAdapter(Phone)


class RemindersSettings(ServiceSettings):
    """Reminders' settings."""

    reminders_database: DatabaseUrl = Field(
        description="URL of reminders' database: postgresql://role:password@host:port/name"
    )
    reminders_database_password: SecretStr | None = Field(
        default=None, description="the role's password, if not in the URL"
    )
    reminders_port: int = Field(default=8003, ge=0, le=65535, description="port to listen on")
    sms: Literal["console", "twilio"] = Field(default="console", description="how texts leave: shown, or by Twilio")
    twilio_account_sid: str | None = Field(default=None, description="AC and 32 hexadecimal digits")
    twilio_auth_token: SecretStr | None = Field(default=None, description="the account's secret")
    twilio_numbers: Annotated[dict[str, str], NoDecode] = Field(
        default={}, description="each clinic's own sender, E.164: clinic=+1..., several separated by commas"
    )
    twilio_rates: Annotated[dict[str, float], NoDecode] = Field(
        default={}, description="segments a second that a clinic's number may send, 1 where none is named: clinic=3,..."
    )
    twilio_url: str | None = Field(default=None, description="another address than Twilio's own")
    public_url: str | None = Field(default=None, description="where Twilio reaches this service")

    @field_validator("twilio_account_sid", "twilio_auth_token", "twilio_url", "public_url", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: Any) -> Any:
        return value or None

    @field_validator("twilio_numbers", "twilio_rates", mode="before")
    @classmethod
    def _split_numbers(cls, value: Any) -> Any:
        if isinstance(value, str):
            pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
            return {clinic.strip(): number.strip() for clinic, _, number in pairs}
        return value

    @field_validator("twilio_numbers")
    @classmethod
    def _dialable(cls, value: dict[str, str]) -> dict[str, str]:
        for clinic, number in value.items():
            try:
                _PHONE.validate_python(number)
            except ValidationError:
                raise ValueError(f"the number of {clinic!r} is not E.164") from None
        return value

    @field_validator("twilio_rates")
    @classmethod
    def _sensible(cls, value: dict[str, float]) -> dict[str, float]:
        for clinic, rate in value.items():
            if not 0 < rate <= 1000:
                raise ValueError(f"the rate of {clinic!r} is not more than 0 and at most 1000")
        return value

    @property
    def database_url(self) -> str:
        """Everything that a connection needs."""
        return with_password(self.reminders_database, self.reminders_database_password)

    def require_production(self) -> None:
        super().require_production()
        if self.sms == "twilio" and self.public_url and not self.public_url.startswith("https://"):
            raise Misconfigured("CHAIRTIME_PUBLIC_URL: is not https, but CHAIRTIME_PRODUCTION is on")

    def rates(self, clinics: set[str]) -> dict[str, float]:
        """Segments a second that each clinic's number may send; only Twilio sets limits.

        Source: Twilio's throughput of a long code, 1 segment a second; toll-free 3, short codes from 10.
        """
        return {clinic: self.twilio_rates.get(clinic, 1.0) for clinic in clinics} if self.sms == "twilio" else {}

    def require_twilio(self, clinics: set[str]) -> tuple[str, str]:
        """Account and token, where texts go out by Twilio and every clinic has a number.

        Raises:
            Misconfigured: something is missing.
        """
        if not self.twilio_account_sid:
            raise Misconfigured("CHAIRTIME_TWILIO_ACCOUNT_SID: is not set, but CHAIRTIME_SMS is twilio")
        token = self.twilio_auth_token.get_secret_value() if self.twilio_auth_token else ""
        if len(token) < 16:
            raise Misconfigured("CHAIRTIME_TWILIO_AUTH_TOKEN: is not set or too short, but CHAIRTIME_SMS is twilio")
        if not self.public_url:
            raise Misconfigured("CHAIRTIME_PUBLIC_URL: is not set, but CHAIRTIME_SMS is twilio: no STOP would be heard")
        if missing := sorted(clinics - set(self.twilio_numbers)):
            raise Misconfigured(f"CHAIRTIME_TWILIO_NUMBERS: there is none for {', '.join(missing)}")
        return self.twilio_account_sid, token

"""What a service's settings take and refuse: accounts, secrets in files, and what production will not have."""

from pathlib import Path

import pytest

from services.booking.settings import BookingSettings
from services.reminders.settings import RemindersSettings
from shared.configuration.settings import Misconfigured, ServiceSettings, read_settings, weakness


@pytest.mark.parametrize(
    "secret", ["", "short", "changeme-changeme-changeme", "aaaaaaaaaaaaaaaaaaaa", "Postgres-2026-11-28"]
)
def test_weak_secrets_are_known(secret: str) -> None:
    assert weakness(secret)


GOOD = "Vq3-8mZ0_tWc7LrXa1Pd"
PRODUCTION = {"kafka": "kafka:9092", "kafka_user": "booking", "kafka_password": GOOD, "production": True}


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which secrets lie as files."""
    monkeypatch.setenv("CHAIRTIME_SECRETS", str(tmp_path))
    return tmp_path


def refused(model: type[ServiceSettings], **given: object) -> str:
    with pytest.raises(Misconfigured) as error:
        read_settings(model, **given)
    return str(error.value)


def test_secrets_are_read_from_files_and_show_nowhere(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (secrets / "chairtime_kafka_password").write_text("of kafka\n")
    (secrets / "chairtime_booking_database_password").write_text("of the/database\n")
    monkeypatch.setenv("CHAIRTIME_KAFKA", "kafka:9092")
    monkeypatch.setenv("CHAIRTIME_KAFKA_USER", "booking")
    monkeypatch.setenv("CHAIRTIME_BOOKING_DATABASE", "postgresql://booking@postgres:5432/booking")
    settings = read_settings(BookingSettings)
    assert settings.cluster.librdkafka == {
        "bootstrap.servers": "kafka:9092",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "booking",
        "sasl.password": "of kafka",
    }
    assert settings.database_url == "postgresql://booking:of the%2Fdatabase@postgres:5432/booking"
    assert "of " not in repr(settings) + repr(settings.cluster)


def test_a_secrets_folder_that_is_not_there_is_named(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAIRTIME_SECRETS", f"{secrets}/none")
    assert refused(ServiceSettings, kafka="x:1") == f"CHAIRTIME_SECRETS: there is no folder {secrets}/none"


@pytest.mark.parametrize("half", [{"kafka_user": "booking"}, {"kafka_password": GOOD}])
def test_half_an_account_is_refused(half: dict[str, str]) -> None:
    line = refused(ServiceSettings, kafka="x:1", **half)
    assert line.startswith("CHAIRTIME_KAFKA_PASSWORD: an account at Kafka is CHAIRTIME_KAFKA_USER and")
    assert GOOD not in line


def test_certificates_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing of the kind")
    assert refused(ServiceSettings, kafka="x:1", kafka_ca_file=tmp_path / "ca.pem").startswith(
        "CHAIRTIME_KAFKA_CA_FILE:"
    )
    assert refused(ServiceSettings, kafka="x:1", kafka_ca_file=tmp_path / "no.pem").startswith(
        "CHAIRTIME_KAFKA_CA_FILE:"
    )


def test_a_database_url_of_another_kind_is_refused_and_not_shown() -> None:
    for url in ("booking", "mysql://booking:hidden@db/booking"):
        line = refused(BookingSettings, kafka="x:1", booking_database=url)
        assert line == "CHAIRTIME_BOOKING_DATABASE: must be postgresql://role@host:port/name"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"kafka_user": None, "kafka_password": None},
            "CHAIRTIME_KAFKA_USER: is not set, but CHAIRTIME_PRODUCTION is on: Kafka needs accounts",
        ),
        (
            {"kafka_password": "short"},
            "CHAIRTIME_KAFKA_PASSWORD: has fewer than 16 characters, but CHAIRTIME_PRODUCTION is on",
        ),
        (
            {"kafka_password": "changeme-changeme"},
            "CHAIRTIME_KAFKA_PASSWORD: is one that others may guess, but CHAIRTIME_PRODUCTION is on",
        ),
        (
            {"reminders_database_password": "a" * 20},
            "CHAIRTIME_REMINDERS_DATABASE_PASSWORD: is one that others may guess, but CHAIRTIME_PRODUCTION is on",
        ),
        (
            {"sms": "twilio", "public_url": "http://texts.example"},
            "CHAIRTIME_PUBLIC_URL: is not https, but CHAIRTIME_PRODUCTION is on",
        ),
    ],
)
def test_production_refuses_what_is_open_short_or_well_known(change: dict[str, object], line: str) -> None:
    whole = PRODUCTION | {"reminders_database": "postgresql://r@x/x", "reminders_database_password": GOOD}
    assert read_settings(RemindersSettings, **whole).production
    assert refused(RemindersSettings, **whole | change) == line

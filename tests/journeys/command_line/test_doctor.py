"""`chairtime doctor`: nothing wrong with a sound house, and each fault, caused for real, with its fix."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

from deploy.local.fake_twilio import ACCOUNT_SID, AUTH_TOKEN, FakeTwilio
from deploy.local.mock_kafka import MockKafka
from shared.kafka.topics import TOPICS
from tests.stand_ins.command_line import House
from tests.stand_ins.revisions import set_revision


async def test_the_doctor_finds_nothing_wrong_with_a_sound_house(house: House) -> None:
    found = await house.doctor()
    states = {check: finding["state"] for check, finding in found.items()}
    assert "failed" not in states.values(), [f for f in found.values() if f["state"] == "failed"]
    for check in ("profiles", "kafka", "topics", "topic settings", "postgresql booking", "migrations reminders"):
        assert states[check] == "ok", found[check]
    assert {states[f"clock postgresql {service}"] for service in ("booking", "billing", "reminders")} == {"ok"}
    assert states["rights"] == "warning"
    shown = await house.run("doctor", "postgresql", **house.databases)
    assert shown.out.splitlines()[-1].endswith(" 0 failed")
    assert shown.code == 0


async def test_the_doctor_names_what_is_wrong_with_kafka_and_how_to_mend_it(house: House) -> None:
    found = await house.doctor("kafka", CHAIRTIME_KAFKA="127.0.0.1:1")
    assert (found["kafka"]["state"], found["kafka"]["told"]) == ("failed", "Kafka at 127.0.0.1:1: no broker answers")
    found = await house.doctor(
        "kafka", CHAIRTIME_KAFKA_USER="booking", CHAIRTIME_KAFKA_PASSWORD="of nobody who is known"
    )
    assert found["kafka booking"]["state"] == "failed"
    assert "of nobody" not in str(found)
    with MockKafka() as cluster:
        cluster.create_topics(topic.name for topic in TOPICS if topic.name != "clinic.payments")
        found = await house.doctor("kafka", CHAIRTIME_KAFKA=cluster.address)
    assert found["topics"]["told"].endswith("missing: clinic.payments")
    assert found["topics"]["fix"] == "run chairtime topics"


async def test_the_doctor_names_what_is_wrong_with_a_database_and_how_to_mend_it(
    house: House, databases: Mapping[str, str]
) -> None:
    await set_revision(databases["booking"], None)
    away = "postgresql://booking:a-password@127.0.0.1:1/booking"
    stranger = databases["reminders"].replace("/reminders_", "/nowhere_")
    found = await house.doctor(
        "postgresql",
        CHAIRTIME_BOOKING_DATABASE=databases["booking"],
        CHAIRTIME_BILLING_DATABASE=away,
        CHAIRTIME_REMINDERS_DATABASE=stranger,
    )
    assert found["migrations booking"]["told"].startswith("at revision none, not ")
    assert found["migrations booking"]["fix"] == "run chairtime migrate"
    assert found["postgresql billing"]["told"] == "booking at 127.0.0.1/booking: no PostgreSQL answers"
    assert found["postgresql reminders"]["told"].endswith("there is no such database")
    assert "a-password" not in str(found)
    await set_revision(databases["booking"], "of-another-release")
    found = await house.doctor("postgresql", CHAIRTIME_BOOKING_DATABASE=databases["booking"])
    told = "at revision of-another-release, which this release does not know"
    assert (found["migrations booking"]["state"], found["migrations booking"]["told"]) == ("failed", told)


async def test_the_doctor_names_a_service_that_is_away_and_a_profile_that_is_wrong(
    house: House, tmp_path: Path
) -> None:
    shutil.copytree(Path("deploy/clinics/stella"), tmp_path / "stella")
    file = tmp_path / "stella" / "billing.toml"
    file.write_text(file.read_text().replace("lead_hours = 48", "lead_hours = 4.8"))
    found = await house.doctor(
        "profiles", "services", CHAIRTIME_PROFILES=str(tmp_path), CHAIRTIME_BILLING_URL="http://127.0.0.1:1"
    )
    assert found["profiles"]["told"].startswith("stella/billing.toml: due.lead_hours: ")
    assert found["service billing"]["state"] == "failed"
    assert "CHAIRTIME_BILLING_URL" in found["service billing"]["fix"]
    assert found["service booking"]["state"] == "ok"


async def test_the_doctor_tries_twilios_account_and_the_address_at_which_it_calls(house: House) -> None:
    async def listening_to_everybody(request: web.Request) -> web.Response:
        return web.Response(status=200)

    app = web.Application()
    app.router.add_post("/webhooks/twilio/status", listening_to_everybody)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    open_door = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with FakeTwilio() as twilio:
            texts = {
                "CHAIRTIME_SMS": "twilio",
                "CHAIRTIME_TWILIO_ACCOUNT_SID": ACCOUNT_SID,
                "CHAIRTIME_TWILIO_AUTH_TOKEN": AUTH_TOKEN,
                "CHAIRTIME_TWILIO_URL": twilio.url,
                "CHAIRTIME_TWILIO_NUMBERS": "stella=+15550100001",
                "CHAIRTIME_CLINICS": "stella",
                "CHAIRTIME_PUBLIC_URL": house.journey.address.reminders,
            }
            found = await house.doctor("texts", **texts)
            assert (found["twilio"]["state"], found["webhook"]["state"]) == ("ok", "ok")
            assert found["webhook address"]["told"] == "CHAIRTIME_PUBLIC_URL is not https"
            found = await house.doctor(
                "texts",
                **texts | {"CHAIRTIME_TWILIO_AUTH_TOKEN": "another token than that", "CHAIRTIME_PUBLIC_URL": open_door},
            )
            assert found["twilio"]["told"] == "Twilio does not accept the account or its token"
            assert found["webhook"]["told"].endswith("answers 200 to a call that is not signed, not 403")
            assert "another token" not in str(found)
            found = await house.doctor("texts", **texts | {"CHAIRTIME_PUBLIC_URL": "https://10.0.0.1:1"})
            assert found["webhook address"]["told"] == "10.0.0.1 is not a public address"
            assert found["webhook"]["state"] == "failed"
    finally:
        await runner.cleanup()

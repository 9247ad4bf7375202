"""What reminders tells Prometheus of its texts."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.facts.course import NOW
from tests.stand_ins.reminders_front import Front, open_front
from tests.stand_ins.scrapes import scrape


@pytest.fixture
async def reminders(databases: dict[str, str], tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(databases["reminders"], tmp_path) as opened:
        yield opened


async def test_texts_that_could_go_out_and_did_not_are_counted_and_have_an_age(reminders: Front) -> None:
    await reminders.rig.planned()
    reminders.rig.clock.move(NOW + timedelta(minutes=7))
    told = await scrape(reminders.app)
    assert (told.value("chairtime_texts_overdue"), told.value("chairtime_texts_overdue_seconds")) == (1, 420)
    await reminders.send()
    told = await scrape(reminders.app)
    assert (told.value("chairtime_texts_overdue"), told.value("chairtime_texts_overdue_seconds")) == (0, 0)
    assert told.value("chairtime_texts_total", outcome="accepted") >= 1
    assert told.value("chairtime_text_lateness_seconds_bucket", le="300.0") < told.value(
        "chairtime_text_lateness_seconds_count"
    ), "seven minutes"


async def test_pauses_are_told_by_clinic_and_never_by_person(reminders: Front) -> None:
    await reminders.rig.planned()
    assert (await scrape(reminders.app)).value("chairtime_pauses", scope="all", clinic="") == 0
    for body in ({}, {"clinic": "stella"}, {"contact_id": "patient-1"}):
        assert (await reminders.post("/v1/pause", body)).status_code == 200
    told = await scrape(reminders.app)
    assert told.value("chairtime_pauses", scope="all", clinic="") == 1
    assert told.value("chairtime_pauses", scope="clinic", clinic="stella") == 1
    assert told.value("chairtime_pauses", scope="contact", clinic="") == 1
    assert "patient-1" not in told.text
    await reminders.send()
    assert (await scrape(reminders.app)).value("chairtime_texts_overdue") == 0, "paused is not late"

"""What is told before anything was read: the release, and counts of nothing."""

import tomllib
from pathlib import Path

from shared import VERSION
from shared.instruments import metrics
from tests.stand_ins.booking_desk import Desk
from tests.stand_ins.scrapes import Scrape, scrape

REPOSITORY = Path(__file__).parents[3]


async def test_the_release_is_the_one_that_the_project_names(booking: Desk) -> None:
    assert tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"] == VERSION
    (info,) = [s for s in (await scrape(booking.app)).samples if s.name == "chairtime_build_info"]
    assert (info.labels["version"], info.labels["service"]) == (VERSION, "booking")


def test_a_service_that_has_just_begun_counts_from_nothing() -> None:
    metrics.begin("a new one")
    told = Scrape(metrics.page("a new one", []).decode())
    assert told.value("chairtime_messages_total", outcome="handled") == 0
    assert told.value("chairtime_dead_letters_total", kind="defect") == 0
    assert {sample.labels["service"] for sample in told.samples if "service" in sample.labels} == {"a new one"}

"""All metrics after a day with everything in one process: each service tells its own, and all that is declared."""

import time
from datetime import timedelta

from tests.journeys.conftest import Course, Journey, weekday_mornings
from tests.stand_ins.scrapes import Scrape, declared

OWN = {
    "booking": ("chairtime_unpaid_", "chairtime_chair_"),
    "reminders": (
        "chairtime_text_",
        "chairtime_texts_",
        "chairtime_provider_",
        "chairtime_pauses",
        "chairtime_sender_",
    ),
}
"""How the names of metrics begin that only one service has."""

QUIET = ("chairtime_attention_", "chairtime_timer_lateness_")
"""Of these nothing is told on a good day."""


async def test_each_service_tells_its_own_metrics_and_all_that_are_declared(journey: Journey) -> None:
    course = Course(weekday_mornings(journey.now, 1, weeks_ahead=2))
    await journey.publish(course.contact(journey.now), course.requested, course.paid(journey.now, 45000))
    await journey.pass_time(timedelta(hours=16))

    told: dict[str, Scrape] = {}
    for service in journey.embedded.services:
        page = told[service] = Scrape(await journey.page(service, "/metrics"))
        ours = [sample for sample in page.samples if sample.name.startswith("chairtime_")]
        assert {sample.labels["service"] for sample in ours} == {service}
        for sample in ours:
            if not sample.name.endswith("_created"):
                assert frozenset(sample.labels) == declared()[sample.name], sample.name
        assert (page.value("chairtime_database_up"), page.value("chairtime_kafka_up")) == (1, 1)
        assert page.value("chairtime_relay_holder") == 1
        assert time.time() - page.value("chairtime_last_poll_timestamp_seconds") < 20
        topics = {s.labels["topic"]: s.value for s in ours if s.name == "chairtime_lag_messages"}
        assert topics
        assert set(topics.values()) == {0}, "everything has been heard"
        assert page.value("chairtime_messages_total", outcome="handled") > 0
        assert page.has("process_start_time_seconds")
        assert course.patient_id not in page.text
        assert str(course.id) not in page.text

    common = {name for name in declared() if not name.startswith(sum(OWN.values(), ()))}
    for service, page in told.items():
        names = {sample.name for sample in page.samples}
        own = {name for name in declared() if name.startswith(OWN.get(service, ("nothing",)))}
        missing = {name for name in (common | own) - names if not name.startswith(QUIET)}
        assert not missing, f"{service} does not tell what is declared"

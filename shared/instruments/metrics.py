"""What operators can see in Prometheus. Labels hold services, types, codes and locations, never ids of people.

Every metric of ours has the label `service`: where the three share a process, each tells its own. What is counted as it
happens stands here, and so does what is read when somebody looks (`Reading`) of the tables that all services have. A
service's own gauges stand in its `gauges.py`.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily

LATENESS: Final = (0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60, 300, 3600)
"""Seconds."""

HEARD: Final = Counter("chairtime_messages_total", "Messages by what became of them", ["service", "outcome"])
PUBLISHED: Final = Counter("chairtime_published_total", "Outbox rows published", ["service"])
BATCH_SECONDS: Final = Histogram("chairtime_batch_seconds", "Time of one batch's transaction", ["service"])
DEAD_LETTERS: Final = Counter("chairtime_dead_letters_total", "Messages dead-lettered", ["service", "kind"])
ATTENTION: Final = Counter("chairtime_attention_total", "Matters raised for a person", ["service", "kind"])
TIMER_LATENESS: Final = Histogram(
    "chairtime_timer_lateness_seconds",
    "How long after its instant a deadline was acted upon, by our clock",
    ["service"],
    buckets=LATENESS,
)


LETTERS: Final = ("unreadable", "defect", "held_back")
"""The kinds of dead letters."""


def begin(service: str) -> None:
    """Count from 0: what first appears with its first event looks to Prometheus as if nothing had happened."""
    HEARD.labels(service, "handled")
    PUBLISHED.labels(service)
    for kind in LETTERS:
        DEAD_LETTERS.labels(service, kind)


class Reading(NamedTuple):
    """A gauge that nobody keeps: it is read when somebody looks. `labels` come after `service`."""

    name: str
    help: str
    labels: tuple[str, ...] = ()

    def labelled(self, service: str, values: Mapping[tuple[str, ...], float]) -> Metric:
        """What was read, by the values of the labels."""
        family = GaugeMetricFamily(self.name, self.help, labels=("service", *self.labels))
        for labels, value in values.items():
            family.add_metric((service, *labels), value)
        return family

    def single(self, service: str, value: float) -> Metric:
        """What was read, where there are no labels."""
        return self.labelled(service, {(): value})


BUILD: Final = Reading("chairtime_build_info", "Which release this is", ("version", "python"))
DATABASE_UP: Final = Reading("chairtime_database_up", "Whether PostgreSQL answered this scrape")
KAFKA_UP: Final = Reading("chairtime_kafka_up", "Whether Kafka answered this scrape")
LAST_POLL: Final = Reading("chairtime_last_poll_timestamp_seconds", "When this process last asked Kafka for messages")
RELAY_HOLDER: Final = Reading("chairtime_relay_holder", "Whether this process publishes the service's outbox")
API_KEYS_IN_FORCE: Final = Reading(
    "chairtime_api_keys_in_force", "Whether the file of API keys is in force as it stands, 0 while an earlier one is"
)
LAG: Final = Reading("chairtime_lag_messages", "Messages on a topic that the service has not heard yet", ("topic",))
OUTBOX_WAITING: Final = Reading("chairtime_outbox_waiting", "Outbox rows not yet published")
OUTBOX_OLDEST: Final = Reading("chairtime_outbox_oldest_seconds", "How long the oldest unpublished row has waited")
DEAD_LETTERS_OPEN: Final = Reading("chairtime_dead_letters_open", "Dead letters that wait for a person", ("kind",))
ATTENTION_OPEN: Final = Reading("chairtime_attention_open", "Matters that wait for a person", ("kind",))
ATTENTION_OLDEST: Final = Reading(
    "chairtime_attention_oldest_seconds", "How long the oldest matter of a kind has waited for a person", ("kind",)
)
TIMERS_OVERDUE: Final = Reading(
    "chairtime_timers_overdue_seconds", "How long ago the oldest deadline fell due that was not acted upon"
)


class _Own:
    """One service's part of what this process has counted, and what was read for it."""

    def __init__(self, service: str, read: Iterable[Metric]) -> None:
        self._service = service
        self._read = read

    def collect(self) -> Iterable[Metric]:
        for family in REGISTRY.collect():
            family.samples = [s for s in family.samples if s.labels.get("service", self._service) == self._service]
            yield family
        yield from self._read


def page(service: str, read: Iterable[Metric]) -> bytes:
    """All of one service in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Own(service, read))
    return generate_latest(registry)

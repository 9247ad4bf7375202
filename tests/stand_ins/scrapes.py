"""What a service answers to Prometheus, as tests read it."""

from typing import Any, Final

from fastapi import FastAPI
from prometheus_client import Counter, Histogram
from prometheus_client.parser import text_string_to_metric_families

from services.booking import gauges as booking_gauges
from services.reminders import gauges as reminders_gauges
from services.reminders.sending import counters
from shared.instruments import metrics
from shared.instruments.metrics import Reading


class Scrape:
    """One answer: values by name and labels, without the label `service`."""

    def __init__(self, text: str) -> None:
        self.text = text
        families = list(text_string_to_metric_families(text))
        self.samples = [sample for family in families for sample in family.samples]
        self.names = {family.name for family in families}

    def value(self, name: str, **labels: str) -> float:
        """The value of the one series with exactly these labels."""
        (value,) = [s.value for s in self.samples if s.name == name and _without_service(s.labels) == labels]
        return value

    def has(self, name: str) -> bool:
        """Whether there is any series of a name."""
        return any(sample.name == name for sample in self.samples)


def _without_service(labels: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name != "service"}


async def scrape(app: FastAPI) -> Scrape:
    """What a service tells now."""
    service: Any = app.state.service
    return Scrape((await service.metrics()).decode())


ROOMS: Final = (metrics, booking_gauges, reminders_gauges, counters)
"""Where metrics are declared."""

_SUFFIXES: Final = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def declared() -> dict[str, frozenset[str]]:
    """Every series that our code can tell, with its labels."""
    found: dict[str, frozenset[str]] = {}
    for one in (value for room in ROOMS for value in vars(room).values()):
        if isinstance(one, Reading):
            found[one.name] = frozenset({"service", *one.labels})
        elif isinstance(one, Counter | Histogram) and one._labelnames:  # its children have none
            for suffix in _SUFFIXES[one._type]:
                found[one._name + suffix] = frozenset(one._labelnames) | ({"le"} if suffix == "_bucket" else set())
    return found

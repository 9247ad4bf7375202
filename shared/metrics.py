"""What operators can see in Prometheus. Labels hold services, types and codes, never ids of people."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

HEARD: Final = Counter("chairtime_messages_total", "Messages by what became of them", ["service", "outcome"])
PUBLISHED: Final = Counter("chairtime_published_total", "Outbox rows published", ["service"])
BATCH_SECONDS: Final = Histogram("chairtime_batch_seconds", "Time of one batch's transaction", ["service"])
DEAD_LETTERS: Final = Counter("chairtime_dead_letters_total", "Messages dead-lettered", ["service", "kind"])
ATTENTION: Final = Counter("chairtime_attention_total", "Matters raised for a person", ["service", "kind"])
ATTENTION_OPEN: Final = Gauge("chairtime_attention_open", "Matters that wait for a person", ["service"])
DEAD_LETTERS_OPEN: Final = Gauge("chairtime_dead_letters_open", "Dead letters that wait for a person", ["service"])
OUTBOX_WAITING: Final = Gauge("chairtime_outbox_waiting", "Outbox rows not yet published", ["service"])
TIMER_LATENESS: Final = Histogram(
    "chairtime_timer_lateness_seconds",
    "How long after its instant a deadline was acted upon, by our clock",
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60, 300, 3600),
)
TEXTS: Final = Counter("chairtime_texts_total", "Texts by what became of them", ["outcome"])
TEXT_LATENESS: Final = Histogram(
    "chairtime_text_lateness_seconds",
    "How long after its planned instant a text was first handed over, by our clock",
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60, 300, 3600),
)
PROVIDER_SECONDS: Final = Histogram(
    "chairtime_provider_seconds", "How long a text was in the provider's hands before its answer: past taking back"
)

"""Reminders' own counters: what became of the texts, how late they are, how long the provider has them."""

from typing import Final, get_args

from prometheus_client import Counter, Histogram

from services.reminders.rules.judging import Claim
from services.reminders.text.aggregates import SERVICE
from services.reminders.text.provider import Outcome
from shared.instruments.metrics import LATENESS

TEXTS: Final = Counter("chairtime_texts_total", "Texts by what became of them", ["service", "outcome"])
for _outcome in get_args(Outcome):
    TEXTS.labels(SERVICE, _outcome.label)  # from 0: the first failure counts
_LATENESS: Final = Histogram(
    "chairtime_text_lateness_seconds",
    "How long after its planned instant a text was first handed over, by our clock",
    ["service"],
    buckets=LATENESS,
)
_PROVIDER_SECONDS: Final = Histogram(
    "chairtime_provider_seconds",
    "How long a text was in the provider's hands before its answer: past taking back",
    ["service"],
)
TEXT_LATENESS: Final = _LATENESS.labels(SERVICE)
PROVIDER_SECONDS: Final = _PROVIDER_SECONDS.labels(SERVICE)


def count(outcome: str) -> None:
    """One text more of which this became."""
    TEXTS.labels(SERVICE, outcome).inc()


def count_judged(claim: Claim) -> None:
    """What a batch of due texts came to. Call it when the batch is committed: one that is tried again counts once."""
    for suppression in claim.suppressions:
        count(f"suppressed_{suppression['reason']}")
    for attempted, _ in claim.attempts:
        if attempted.number == 1:
            TEXT_LATENESS.observe(max(0.0, (attempted.attempted_at - attempted.text.due_at).total_seconds()))
